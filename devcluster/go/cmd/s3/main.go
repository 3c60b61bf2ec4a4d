// s3 is an S3 server for tests: versitygw's folder as a store, with conditional writes that are atomic (backend.go).
//
// Its environment says everything: S3_LISTEN (":9000"), S3_FOLDER (an absolute path, on a file system with extended
// attributes), S3_BUCKET (made at the start if it is missing), S3_ACCESS_KEY and S3_SECRET_KEY.
// GET /healthz answers 200 to anybody once requests are served.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api/utils"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	settings := map[string]string{}
	var missing []string
	for _, name := range []string{"S3_LISTEN", "S3_FOLDER", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY"} {
		if settings[name] = os.Getenv(name); settings[name] == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("the environment lacks %s; set them all", strings.Join(missing, ", "))
	}
	store, err := posix.New(settings["S3_FOLDER"], meta.XattrMeta{}, posix.PosixOpts{
		NewDirPerm: 0o755,
		// An unnamed file replaces an object by way of a second visible name, which a list running meanwhile shows.
		ForceNoTmpFile: true,
	})
	if err != nil {
		return err
	}
	if err := makeBucket(ctx, store, settings["S3_FOLDER"], settings["S3_BUCKET"], settings["S3_ACCESS_KEY"]); err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, &atomicBackend{Backend: store}, &embedgw.Config{
		RootUserAccess:    settings["S3_ACCESS_KEY"],
		RootUserSecret:    settings["S3_SECRET_KEY"],
		Ports:             []string{settings["S3_LISTEN"]},
		HealthPath:        "/healthz",
		KeepAlive:         true,
		Quiet:             true,
		MaxConnections:    1000,  // versitygw has no defaults; far above what the tests open,
		MaxRequests:       1000,  // and as many requests, which it wants to be no more than connections
		MultipartMaxParts: 10000, // S3's own limit
	})
}

// makeBucket leaves a bucket that belongs to owner, also where an earlier start was killed between the folder and its
// access list.
func makeBucket(ctx context.Context, store backend.Backend, folder, bucket, owner string) error {
	if !utils.IsValidBucketName(bucket) {
		return fmt.Errorf("S3_BUCKET is %q; a bucket's name has 3 to 63 lower-case letters, digits and dashes", bucket)
	}
	access, err := json.Marshal(auth.ACL{Owner: owner})
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, bucket)); err == nil {
		return store.PutBucketAcl(ctx, bucket, access)
	}
	return store.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    &bucket,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
	}, access)
}

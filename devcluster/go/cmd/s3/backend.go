package main

import (
	"bytes"
	"context"
	"hash/maphash"
	"io"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3response"
)

// stripes is how many locks share out the keys. A lock is held for one write to the disk and never while waiting for a
// client, so two keys that meet in one lock cost each other milliseconds; a lock for each key would have to be counted
// and thrown away.
const stripes = 1024

// atomicBackend makes If-None-Match and If-Match hold among simultaneous clients, as S3's own do.
//
// The backend below looks whether the condition holds and writes some time later. Of two clients that create one object
// both may find nothing and both be told that they created it. Here everything that changes a key, conditional or not,
// does so under the key's lock.
type atomicBackend struct {
	backend.Backend
	locks [stripes]sync.Mutex
}

var seed = maphash.MakeSeed()

// lock takes the locks of keys, always in the order of their numbers so that two calls cannot wait for each other, and
// returns what gives them back.
func (b *atomicBackend) lock(bucket *string, keys ...*string) (unlock func()) {
	numbers := make([]uint64, 0, len(keys))
	for _, key := range keys {
		numbers = append(numbers, maphash.Comparable(seed, [2]string{*bucket, *key})%stripes)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for _, number := range numbers {
		b.locks[number].Lock()
	}
	return func() {
		for _, number := range numbers {
			b.locks[number].Unlock()
		}
	}
}

// PutObject reads the whole body before it takes the lock: a client that stalls in the middle holds nobody up. Bodies
// fit into memory, since clients send what is large in parts.
func (b *atomicBackend) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	body, err := readAhead(in.Body)
	if err != nil {
		return s3response.PutObjectOutput{}, err
	}
	in.Body = body
	defer b.lock(in.Bucket, in.Key)()
	return b.Backend.PutObject(ctx, in)
}

func (b *atomicBackend) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	defer b.lock(in.Bucket, in.Key)()
	return b.Backend.CompleteMultipartUpload(ctx, in)
}

func (b *atomicBackend) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	defer b.lock(in.Bucket, in.Key)()
	return b.Backend.CopyObject(ctx, in)
}

func (b *atomicBackend) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	defer b.lock(in.Bucket, in.Key)()
	return b.Backend.DeleteObject(ctx, in)
}

func (b *atomicBackend) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	keys := make([]*string, 0, len(in.Delete.Objects))
	for _, object := range in.Delete.Objects {
		keys = append(keys, object.Key)
	}
	defer b.lock(in.Bucket, keys...)()
	return b.Backend.DeleteObjects(ctx, in)
}

// readAhead returns body's bytes as a reader of its kind: one that brings a checksum behind the data still answers for it.
func readAhead(body io.Reader) (io.Reader, error) {
	if body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if checked, ok := body.(middlewares.ChecksumReader); ok {
		return checkedBytes{ChecksumReader: checked, data: bytes.NewReader(data)}, nil
	}
	return bytes.NewReader(data), nil
}

type checkedBytes struct {
	middlewares.ChecksumReader
	data *bytes.Reader
}

func (c checkedBytes) Read(into []byte) (int, error) { return c.data.Read(into) }

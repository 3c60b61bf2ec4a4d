// probe is what runs in the pods of the cluster tests: a server to reach, and the client that says whether it is reached.
//
//	probe serve PORT      answer every HTTP request with the pod's name; /hold keeps the connection and echoes lines
//	probe get URL         print what URL answers, asking again for 30 s
//	probe resolve NAME    print the addresses of NAME, asking again for 30 s
//	probe hold HOST:PORT  keep one connection to a server's /hold, and print each change of its state (hold.go)
//	probe sleep           wait for the end
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	patience = 30 * time.Second       // for a Service's rules to reach every node, and a name to reach the DNS server
	timeout  = 2 * time.Second        // one question; a connection within the cluster takes less than a millisecond
	interval = 200 * time.Millisecond // between two questions
)

func main() {
	// Process 1 of a container ignores SIGTERM unless it asks for it, and a delete would take the whole grace period.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	verb, argument := "", ""
	if len(arguments) > 0 {
		verb = arguments[0]
	}
	if len(arguments) > 1 {
		argument = arguments[1]
	}
	switch {
	case verb == "sleep":
		select {}
	case argument == "":
		return errors.New("probe needs a verb and its argument: serve PORT, get URL, resolve NAME, hold HOST:PORT or sleep")
	case verb == "serve":
		return serve(argument)
	case verb == "get":
		return ask(func(ctx context.Context) (string, error) { return get(ctx, argument) })
	case verb == "resolve":
		return ask(func(ctx context.Context) (string, error) { return resolve(ctx, argument) })
	case verb == "hold":
		return holdOn(argument)
	default:
		return fmt.Errorf("probe has no verb %q; use serve, get, resolve, hold or sleep", verb)
	}
}

// ask prints the first answer; after 30 s without one it returns the last error.
func ask(question func(context.Context) (string, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		answer, err := question(ctx)
		cancel()
		if err == nil {
			fmt.Println(answer)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer in %s; the last error: %w", patience, err)
		}
		time.Sleep(interval)
	}
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	return strings.TrimSpace(string(body)), nil
}

func resolve(ctx context.Context, name string) (string, error) {
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	return strings.Join(addresses, "\n"), err
}

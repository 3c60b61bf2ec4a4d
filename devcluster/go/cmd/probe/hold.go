package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

const (
	beat    = 500 * time.Millisecond // between two lines of a held connection
	silence = 2 * time.Second        // without an echo for so long, the other end is called silent
)

// serve answers with the pod's name, so that a test sees which pod of a Service it reached.
func serve(port string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) { fmt.Fprintln(response, name) })
	http.HandleFunc("/hold", echo)
	return http.ListenAndServe(":"+port, nil)
}

// echo takes the connection out of HTTP's hands and gives back every line until the client leaves.
func echo(response http.ResponseWriter, _ *http.Request) {
	connection, buffered, err := http.NewResponseController(response).Hijack()
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
	for {
		line, err := buffered.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(connection, line); err != nil {
			return
		}
	}
}

// holdOn keeps one connection and prints what becomes of it, one word for each change: "held" when echoes come, "silent"
// when none came for 2 s, and at the end "reset" or "closed".
//
// It tells a crash from a power failure: the kernel of a crashed machine still closes its sockets, a machine without
// power says nothing and the connection hangs until TCP gives up after many minutes.
func holdOn(address string) error {
	connection, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return err
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET /hold HTTP/1.1\r\nHost: %s\r\n\r\n", address)

	heard, ended := make(chan struct{}), make(chan error, 1)
	go listen(connection, heard, ended)
	go speak(connection)
	state := ""
	for {
		now := "silent"
		select {
		case <-heard:
			now = "held"
		case err := <-ended:
			fmt.Println(ending(err))
			return nil
		case <-time.After(silence):
		}
		if now != state {
			fmt.Println(now)
		}
		state = now
	}
}

func listen(connection net.Conn, heard chan<- struct{}, ended chan<- error) {
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		if lines.Text() == "beat" {
			heard <- struct{}{}
		}
	}
	ended <- lines.Err()
}

// speak ends with the connection; why it ended is the listener's to say.
func speak(connection net.Conn) {
	for {
		if _, err := io.WriteString(connection, "beat\n"); err != nil {
			return
		}
		time.Sleep(beat)
	}
}

func ending(err error) string {
	if errors.Is(err, syscall.ECONNRESET) {
		return "reset"
	}
	if err != nil {
		return err.Error()
	}
	return "closed"
}

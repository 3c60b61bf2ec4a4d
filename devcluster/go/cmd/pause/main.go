// pause holds a pod's namespaces: it waits for the end, and as process 1 of a pod that shares its process namespace it
// buries the orphans of the other containers.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Two channels, each with room for one: a signal that finds no room is dropped, and no orphan may crowd out the end.
	stop, orphan := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(orphan, syscall.SIGCHLD)
	for {
		select {
		case <-stop:
			return
		case <-orphan:
			bury()
		}
	}
}

// bury collects every child that has ended; one signal may stand for many.
func bury() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 && err != syscall.EINTR {
			return
		}
	}
}

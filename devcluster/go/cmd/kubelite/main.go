// kubelite is etcd, Kubernetes and kubectl in one program: it becomes the one by whose name it is called.
//
// Its components share most of their code, so one program of 145 MB, linked once, does for seven. It is run through
// symbolic links, as busybox is: etcd -> kubelite, kubelet -> kubelite and so on.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // the time zones that a CronJob may name; a minimal machine has none

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the credential plugins that a kubeconfig may ask for
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client-go's metrics in /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build's version in /metrics
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kubectl":
		runKubectl()
	default:
		command := component(name)
		if command == nil {
			fmt.Fprintf(os.Stderr, "%s is no component; call me by the name etcd, kubectl, kubelet, kube-proxy, "+
				"kube-apiserver, kube-controller-manager or kube-scheduler.\n", name)
			os.Exit(2)
		}
		os.Exit(cli.Run(command))
	}
}

// component builds the command of one server, and of that one only: several of the constructors install the process's
// signal handler, which panics the second time.
func component(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return manager.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	default:
		return nil
	}
}

// runKubectl ends the process as kubectl does: errors in its own words, its own exit status.
func runKubectl() {
	// -v has to be read before the command is built, which already logs.
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

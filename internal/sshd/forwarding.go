package sshd

// forwards are the channels with which clients forward ports and sockets: ssh -L, -D, -W and -J.
var forwards = []string{"direct-tcpip", "direct-streamlocal@openssh.com"}

// noForwards is why such a channel is refused. OpenSSH prints it.
const noForwards = "this gateway forwards no ports; reach a task with exec (see: help exec)"

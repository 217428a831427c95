//! Sockets. Every listener is one that the test starts on the loopback interface.
#![cfg(target_os = "linux")]

mod common;

use std::{
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixListener},
        },
    },
};

use cohort_sandbox::Layer;
use common::Attack;

#[test]
fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let source = format!("import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2)\nprint('done')");
    Attack::new(source, &[Layer::Network, Layer::Seccomp, Layer::Landlock]).is_stopped();
    // The trial without layers came through, and no other.
    listener.set_nonblocking(true).unwrap();
    assert_eq!(std::iter::from_fn(|| listener.accept().ok()).count(), 1);
}

#[test]
fn udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let source = format!(
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))\nprint('done')"
    );
    Attack::new(source, &[Layer::Network, Layer::Seccomp]).is_stopped();
    socket.set_nonblocking(true).unwrap();
    assert_eq!(std::iter::from_fn(|| socket.recv(&mut [0; 8]).ok()).count(), 1);
}

#[test]
fn listening() {
    let source = "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nc = socket.create_connection(s.getsockname(), timeout=2)\nprint('done')";
    Attack::new(source, &[Layer::Network, Layer::Seccomp, Layer::Landlock]).is_stopped();
}

#[test]
fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let source = format!("import socket\nsocket.socket(socket.AF_UNIX).connect('{}')\nprint('done')", path.display());
    // Landlock has no right for connecting to a path.
    Attack::new(source, &[Layer::Mount, Layer::Seccomp]).aside(&[Layer::Landlock]).is_stopped();
}

#[test]
fn an_abstract_socket() {
    let name = common::mark();
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let source = format!("import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{name}')\nprint('done')");
    Attack::new(source, &[Layer::Network, Layer::Seccomp, Layer::Landlock]).is_stopped();
}

#[test]
fn raw_packets_netlink_and_vsock() {
    for family in ["AF_NETLINK, socket.SOCK_RAW", "AF_UNIX, socket.SOCK_DGRAM", "AF_INET6, socket.SOCK_STREAM"] {
        let source = format!("import socket\nsocket.socket(socket.{family})\nprint('done')");
        Attack::new(source, &[Layer::Seccomp]).is_stopped();
    }
}

#[test]
fn names_of_hosts_are_not_looked_up() {
    let source = "import socket\nsocket.getaddrinfo('localhost', 80)\nprint('done')";
    Attack::new(source, &[Layer::Mount]).aside(&[Layer::Network, Layer::Seccomp, Layer::Landlock]).is_stopped();
}

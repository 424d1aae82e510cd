//! A real sshd on this machine, in front of the hub's repositories.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::World;

/// Where Debian's package puts it; a daemon is in no user's PATH.
const SSHD: &str = "/usr/sbin/sshd";

/// An sshd that lets one key in; dropping it stops it.
pub(crate) struct Sshd {
    process: Child,
    port: u16,
    folder: PathBuf,
}

/// Whether sshd is here: says so loudly if not, and insists on it in CI.
pub(crate) fn is_installed() -> bool {
    let found = Path::new(SSHD).exists();
    let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
    assert!(found || !ci, "sshd must be installed in CI");
    if !found {
        super::shout("sshd is not installed");
    }
    found
}

/// Leaves the test if sshd is missing.
macro_rules! needs_sshd {
    () => {
        if !crate::support::sshd::is_installed() {
            return;
        }
    };
}
pub(crate) use needs_sshd;

impl Sshd {
    /// Starts it with keys of its own. LFS clients that ask it are sent to the hub.
    ///
    /// The hub's hook refuses blobs of more than `blob_limit` bytes.
    pub(crate) fn start(w: &World, blob_limit: usize) -> Self {
        let folder = w.path("sshd");
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for key in ["host_key", "key", "stranger"] {
            let file = folder.join(key);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        fs::copy(folder.join("key.pub"), folder.join("authorized_keys")).unwrap();
        // What LFS servers behind ssh do: they say where the objects are, and give a password.
        let (hub, token) = (w.hub.url(), &w.token);
        let script = format!(
            "#!/bin/sh\nid=${{1##*/models/}}\nid=${{id%.git}}\n\
             auth=$(printf 'user:%s' '{token}' | base64 -w0)\n\
             printf '{{\"href\":\"{hub}/%s.git/info/lfs\",\"header\":{{\"Authorization\":\"Basic %s\"}}}}' \
             \"$id\" \"$auth\"\n"
        );
        let file = bin.join("git-lfs-authenticate");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        // sshd insists on this folder when root starts it, as the system's own start script does.
        let _ = fs::create_dir_all("/run/sshd");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let at = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv PATH={path} MINI_HUB_BLOB_LIMIT={blob_limit}\n",
            at("host_key"),
            at("authorized_keys"),
        );
        fs::write(folder.join("config"), config).unwrap();
        for _ in 0..5 {
            // Free a moment ago; should somebody else take it meanwhile, sshd says so and ends.
            let probe = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = probe.local_addr().unwrap().port();
            drop(probe);
            if let Some(process) = run(&folder, port) {
                let public = fs::read_to_string(folder.join("host_key.pub")).unwrap();
                let known = format!("[127.0.0.1]:{port} {public}");
                fs::write(folder.join("known_hosts"), known).unwrap();
                return Self {
                    process,
                    port,
                    folder,
                };
            }
        }
        let told = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("sshd does not start: {told}");
    }

    /// The address of a repository of the hub.
    pub(crate) fn url(&self, bare: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap();
        let path = bare.display();
        format!("ssh://{}@127.0.0.1:{}{path}", user.trim(), self.port)
    }

    /// For `GIT_SSH_COMMAND`, with one of the keys and a file of known hosts.
    pub(crate) fn ssh(&self, key: &str, known_hosts: &str) -> String {
        let at = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} \
             -o StrictHostKeyChecking=yes",
            at(key),
            at(known_hosts)
        )
    }
}

fn run(folder: &Path, port: u16) -> Option<Child> {
    let mut process = Command::new(SSHD)
        .args(["-D", "-q", "-p", &port.to_string()])
        .arg("-f")
        .arg(folder.join("config"))
        .arg("-E")
        .arg(folder.join("log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A disk that is full: issuance stops in time, revocation goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_testkit::TempDir;
use chancery_testkit::process::run;
use chancery_tests::{Authority, Lost, Setup, csr_for, eventually, new_key, skip};

use super::ended_with;

/// What is left of 64 MB when issuance has to stop (at 5 %): room for revocations, and for the orders that come until the
/// server looks at its disk again.
const OCTETS_LEFT: u64 = 5 << 19;

/// A small disk of one's own.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None where this user may not mount one; that is recorded.
    fn of(size: &str) -> Option<Self> {
        let folder = TempDir::new("disk").expect("a folder");
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=0700"),
            "chancery-test",
        ]);
        let mounted = run_quietly(mount.arg(folder.path()));
        if !mounted {
            skip("a small disk cannot be mounted (it takes root)");
            return None;
        }
        Some(Self { folder })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Takes space until so many octets are left.
    fn fill_but(&self, octets_left: u64) -> Filler {
        let path = self.join("filler");
        let free = free_octets(self.folder.path());
        let file = fs::File::create(&path).expect("a file");
        let size = free.saturating_sub(octets_left);
        let zeros = vec![0; 4096];
        let mut written = 0;
        while written < size {
            let next = usize::try_from((size - written).min(4096)).expect("a page");
            match std::io::Write::write(&mut &file, &zeros[..next]) {
                Ok(count) => written += count as u64,
                Err(_) => break,
            }
        }
        Filler(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may still have files there.
        run_quietly(Command::new("umount").arg("-l").arg(self.folder.path()));
    }
}

struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn run_quietly(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn free_octets(folder: &Path) -> u64 {
    let mut df = Command::new("df");
    df.args(["--output=avail", "--block-size=1"]).arg(folder);
    let finished = run(df, Duration::from_secs(10)).expect("df runs");
    let line = finished.stdout.lines().nth(1).unwrap_or_default();
    line.trim().parse().expect("a number of octets")
}

#[test]
fn a_disk_too_small_for_a_first_run_is_told() {
    let Some(disk) = Disk::of("64k") else { return };
    let mut authority = Authority::prepare(Setup::new().data(disk.join("data")));
    let told = authority.serve_to_end();
    ended_with(&told, 1, &["full"]);
    // With room it starts, either by itself or after what it says was done.
    drop(disk);
    let disk = Disk::of("64m").expect("it was permitted before");
    authority = Authority::prepare(Setup::new().data(disk.join("data")));
    authority.serve();
}

#[test]
fn a_disk_that_fills_up_stops_issuance_but_not_revocation() {
    let Some(disk) = Disk::of("64m") else { return };
    let mut authority = Authority::start_with(Setup::new().data(disk.join("data")));
    let issued_before;
    {
        let client = authority.client();
        let account = client.register();
        let first = account.issue(&["a.test"]);
        let order = account.ready_order(&["b.test"]);
        issued_before = authority.certificates().len();
        let filler = disk.fill_but(OCTETS_LEFT);
        let refused = eventually("issuance stops", Duration::from_secs(30), || match account
            .try_order(&["c.test"])
        {
            Err(Lost::Refused(reply)) => Some(reply),
            Ok(_) => None,
            Err(lost) => panic!("{lost:?}"),
        });
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(
            !refused.header("retry-after").is_empty(),
            "{:?}",
            refused.headers
        );
        assert!(refused.detail().contains("disk"), "{}", refused.detail());
        let finalize = account.finalize(&order, &csr_for(&new_key(), &["b.test"]));
        assert_eq!(finalize.status, 503, "{}", finalize.text());
        assert_eq!(
            authority.machine_page("/readyz").status,
            503,
            "machines are told"
        );

        assert_eq!(
            account.revoke(&first, Some(1)).status,
            200,
            "revocation goes on"
        );
        std::thread::sleep(Duration::from_secs(3));
        eprintln!("{}", authority.output());
        eventually("it is on the CRL", Duration::from_secs(5), || {
            first.crl().contains(&first.leaf().serial()).then_some(())
        });
        assert_eq!(authority.certificates().len(), issued_before);

        drop(filler);
        let ready = eventually("issuance goes on", Duration::from_secs(30), || {
            let order = account.look_at(&order).expect("the order");
            let reply = account.finalize(&order, &csr_for(&new_key(), &["b.test"]));
            (reply.status == 200).then_some(reply)
        });
        assert_eq!(ready.json()["status"], "valid", "{}", ready.text());
    }
    authority.restart();
    assert_eq!(authority.certificates().len(), issued_before + 1);
    authority.check_invariants();
}

#[test]
fn a_disk_that_is_full_to_the_last_octet_loses_nothing_that_was_promised() {
    let Some(disk) = Disk::of("24m") else { return };
    let mut authority = Authority::start_with(Setup::new().data(disk.join("data")));
    let mut serials = Vec::new();
    {
        let client = authority.client();
        let account = client.register();
        for _ in 0..3 {
            serials.push(account.issue(&["a.test"]).serial());
        }
        let _filler = disk.fill_but(0);
        // Whatever is answered now, it is no promise that is not kept, and no hang.
        for _ in 0..5 {
            match account.try_order(&["b.test"]) {
                Ok(_) => {}
                Err(Lost::Refused(reply)) => assert_eq!(reply.status, 503, "{}", reply.text()),
                Err(Lost::NoAnswer(_)) => break,
            }
        }
        if !authority.is_running() {
            authority.kill9();
        }
    }
    if authority.is_running() {
        authority.restart();
    } else {
        authority.serve();
    }
    let known = authority.certificates();
    for serial in &serials {
        assert!(
            known.iter().any(|one| one["serial"] == serial.as_str()),
            "{serial} is known"
        );
    }
    authority.check_invariants();
    let client = authority.client();
    let _ = client.register().issue(&["c.test"]);
}

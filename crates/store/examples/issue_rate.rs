//! How fast orders go through the embedded store, and what they leave on the disk.
//!
//! `cargo run --release -p chancery-store --example issue_rate -- [--orders N] [--preload N] [--folder DIR]`
//!
//! Each order is five changes, as in the authority: placed, challenge taken up, proved, claimed, recorded. They are decided
//! beforehand, so that only the store is measured: N orders one after the other, then sixteen and sixty-four at a time. With
//! `--preload` the store already holds that many orders. The folder decides which disk is measured.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chancery_authority::account::Account;
use chancery_authority::audit::Actor;
use chancery_authority::world::{World, names};
use chancery_authority::{Change, OrderId, Outcome, Store};
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::TempDir;
use chancery_testkit::usage::Usage;
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;

/// Orders decided ahead; each takes about 8 KiB of memory.
const AHEAD: usize = 4096;
/// Orders under way while the store is being filled.
const FILLERS: usize = 256;

type Outcomes<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Arguments {
    orders: usize,
    preload: usize,
    folder: Option<PathBuf>,
}

fn arguments() -> Outcomes<Arguments> {
    let mut found = Arguments {
        orders: 4000,
        preload: 0,
        folder: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--orders" => found.orders = value.parse()?,
            "--preload" => found.preload = value.parse()?,
            "--folder" => found.folder = Some(value.into()),
            _ => return Err(format!("there is no {word}").into()),
        }
    }
    Ok(found)
}

/// Decides orders, each on the outcome of the step before.
struct Source {
    world: World,
    key: PrivateKey,
    account: Account,
    made: usize,
    /// Some of the orders that were made.
    sample: Vec<OrderId>,
}

impl Source {
    async fn new(store: &dyn Store) -> Outcomes<Self> {
        let mut world = World::new(1);
        let (change, account) = world.account();
        apply(store, world.initialised()).await?;
        apply(store, change).await?;
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256))?;
        Ok(Self {
            world,
            key,
            account,
            made: 0,
            sample: Vec::new(),
        })
    }

    fn order(&mut self) -> Outcomes<Vec<Change>> {
        self.made += 1;
        // About a thousand a second, as ids and serials follow the clock.
        self.world.now.0 += i64::from(self.made.is_multiple_of(1000));
        let name = format!("host-{}.department.example.test", self.made);
        let issued = self
            .world
            .issue_with_key(&self.key, self.account.id, names(&[&name])?);
        if self.made % 64 == 1 {
            self.sample.push(issued.order.id);
        }
        Ok(issued.changes)
    }

    fn orders(&mut self, count: usize) -> Outcomes<Vec<Vec<Change>>> {
        (0..count).map(|_| self.order()).collect()
    }
}

async fn apply(store: &dyn Store, change: Change) -> Outcomes<()> {
    match store.apply(change).await? {
        Outcome::Applied => Ok(()),
        Outcome::Conflict => Err("a change did not fit".into()),
    }
}

/// Applies orders, so many at a time; returns how long each change took.
async fn run(
    store: &Arc<SqliteStore>,
    orders: Vec<Vec<Change>>,
    at_a_time: usize,
) -> Outcomes<Vec<Duration>> {
    let (count, next) = (orders.len(), Arc::new(Mutex::new(orders.into_iter())));
    let mut running = JoinSet::new();
    for _ in 0..at_a_time {
        let (store, next) = (Arc::clone(store), Arc::clone(&next));
        running.spawn(async move {
            let mut times = Vec::with_capacity(count.div_ceil(at_a_time) * 5);
            loop {
                // In the order of their numbers, as clients get them.
                let order = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(changes) = order else {
                    break Ok::<_, Box<dyn Error + Send + Sync>>(times);
                };
                for change in changes {
                    let began = Instant::now();
                    apply(&*store, change).await?;
                    times.push(began.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    while let Some(done) = running.join_next().await {
        times.extend(done??);
    }
    times.sort_unstable();
    Ok(times)
}

async fn fill(store: &Arc<SqliteStore>, source: &mut Source, count: usize) -> Outcomes<()> {
    let began = Instant::now();
    let mut left = count;
    while left > 0 {
        let orders = source.orders(left.min(AHEAD))?;
        left -= orders.len();
        run(store, orders, FILLERS).await?;
    }
    println!(
        "{count} orders stored beforehand in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn measure(
    store: &Arc<SqliteStore>,
    source: &mut Source,
    count: usize,
    at_a_time: usize,
) -> Outcomes<()> {
    let blocks_before = blocks(store).await?;
    let (mut times, mut took, mut cpu, mut written) =
        (Vec::new(), Duration::ZERO, Duration::ZERO, 0);
    let mut left = count;
    while left > 0 {
        let orders = source.orders(left.min(AHEAD))?;
        left -= orders.len();
        let (before, began) = (Usage::of(std::process::id())?, Instant::now());
        times.extend(run(store, orders, at_a_time).await?);
        took += began.elapsed();
        let after = Usage::of(std::process::id())?;
        cpu += after.cpu - before.cpu;
        written += after.written_bytes - before.written_bytes;
    }
    times.sort_unstable();
    let commits = blocks(store).await? - blocks_before;
    let orders = count as f64;
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{at_a_time:>4} at a time: {:>7.0} changes/s {:>6.0} orders/s | CPU {:>5.0} us/order | \
         {:>6.1} KiB written/order | {:>5.1} changes/commit | p50 {:.2} p99 {:.2} max {:.1} ms",
        times.len() as f64 / took.as_secs_f64(),
        orders / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / orders,
        written as f64 / 1024.0 / orders,
        times.len() as f64 / commits as f64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
    Ok(())
}

/// How long a point read takes, of orders all over the store: in peace, and with a commit before every twentieth, after
/// which a connection reads its pages anew.
async fn read(store: &SqliteStore, source: &Source) -> Outcomes<()> {
    const READS: usize = 20_000;
    for (between, disturbed) in [("nothing", false), ("commits", true)] {
        let mut took = Duration::ZERO;
        for read in 0..READS {
            if disturbed && read.is_multiple_of(20) {
                let why = "a commit".to_owned();
                let note = Change::refused_order(source.world.now, Actor::NewKey, OrderId(0), why);
                apply(store, note).await?;
            }
            let id = source.sample[read * 7919 % source.sample.len()];
            let began = Instant::now();
            let found = store.order(id).await?;
            took += began.elapsed();
            found.ok_or("an order is missing")?;
        }
        let each = took.as_secs_f64() * 1e6 / READS as f64;
        println!("point reads with {between} between: {each:.1} us each");
    }
    Ok(())
}

/// Commits so far: each has one block of the audit trail.
async fn blocks(store: &SqliteStore) -> Outcomes<i64> {
    let mut after = 0;
    while let Some(last) = store.audit(1, after, 1000).await?.last() {
        after = last.sequence;
    }
    Ok(after)
}

/// Octets per order in the closed file, by table and index.
fn stored(path: &Path, orders: usize) -> Outcomes<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut parts = connection.prepare(
        "select name, sum(pgsize), sum(payload) from dbstat group by name order by 2 desc",
    )?;
    let mut rows = parts.query([])?;
    let per_order = |octets: i64| octets as f64 / orders as f64;
    println!(
        "stored: {:.0} octets/order",
        std::fs::metadata(path)?.len() as f64 / orders as f64
    );
    while let Some(row) = rows.next()? {
        let (name, size, payload): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if per_order(size) >= 1.0 {
            println!(
                "  {name:<24} {:>6.0} of which used {:>6.0}",
                per_order(size),
                per_order(payload)
            );
        }
    }
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcomes<()> {
    let arguments = arguments()?;
    let own = TempDir::new("issue-rate")?;
    let folder = arguments.folder.unwrap_or_else(|| own.path().to_owned());
    let path = folder.join("issue-rate.db");
    let store = Arc::new(SqliteStore::open(SqliteOptions::new(&path))?);
    let mut source = Source::new(&*store).await?;
    fill(&store, &mut source, arguments.preload).await?;
    for at_a_time in [1, 16, 64] {
        measure(&store, &mut source, arguments.orders, at_a_time).await?;
    }
    read(&store, &source).await?;
    let memory = Usage::of(std::process::id())?.rss_bytes >> 20;
    println!("memory {memory} MiB");
    drop(store);
    stored(&path, source.made)?;
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", path.display())).ok();
    }
    Ok(())
}

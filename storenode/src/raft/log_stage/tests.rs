//! The stage by itself, on a disk that fills up, fails, or hangs until the test lets it go.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use internal_proto::{ClusterId, MemberId};
use parking_lot::Mutex;
use raft::GetEntriesContext;
use raft::eraftpb::Entry;

use super::*;
use crate::files::PowerLoss;
use crate::log::{Identity, Log, Options};
use crate::raft::core::ReadyNumber;
use crate::raft::inbox::{Arrivals, StageEvent, Writes};

const PATIENCE: Duration = Duration::from_secs(60);

fn stage(files: &PowerLoss, place: LogPlace) -> (LogStage, Reports) {
    let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
    let options = Options { identity, segment_bytes: 4096 };
    let log = Log::open(Arc::new(files.clone()), Path::new("/data/log"), options).unwrap().0;
    let inbox = Arc::new(Inbox::default());
    let work = LogWork::new(log, Arc::new(Instant::now));
    let stage = LogStage::new(work, place, Arc::clone(&inbox));
    (stage, Reports { inbox, arrivals: Arrivals::default() })
}

fn job(number: u64) -> LogJob {
    let entry = Entry { index: number, term: 1, data: vec![7; 10].into(), ..Entry::default() };
    LogJob {
        number: ReadyNumber(number),
        start: None,
        hard_state: None,
        entries: vec![entry],
        must_sync: true,
        awaited: true,
    }
}

fn empty(number: u64) -> LogJob {
    LogJob { entries: Vec::new(), must_sync: false, ..job(number) }
}

/// A closed gate before every sync: tells that somebody stands before it, and lets one through at a time.
fn gate(files: &PowerLoss) -> (Receiver<()>, Sender<()>) {
    let (arrive, arrivals) = channel();
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    files.before_sync(Some(Arc::new(move || {
        arrive.send(()).unwrap();
        opened.lock().recv_timeout(PATIENCE).unwrap();
    })));
    (arrivals, open)
}

/// What a stage's thread reports, one after the other.
struct Reports {
    inbox: Arc<Inbox>,
    arrivals: Arrivals,
}

impl Reports {
    fn next(&mut self) -> LogEvent {
        if self.arrivals.events.is_empty() {
            self.inbox.wait(Instant::now() + PATIENCE, Writes::Leave);
            self.inbox.take(&mut self.arrivals, Writes::Leave);
        }
        match self.arrivals.events.drain(..1).next() {
            Some(StageEvent::Log(event)) => event,
            _ => panic!("the log has nothing else to say"),
        }
    }

    fn done(&mut self, stage: &mut LogStage) -> Done {
        let LogEvent::Done(mut done) = self.next() else { panic!("the log failed") };
        stage.settle(&mut done);
        done
    }
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_proposed() {
    let files = PowerLoss::new(1);
    let (mut stage, _) = stage(&files, LogPlace::Inline);
    files.set_capacity(Some(files.used()));
    assert_eq!(stage.room(1, false).unwrap(), Room::No);
    files.set_capacity(None);
    let spare = stage.spare_job().unwrap().run();
    stage.take_spare(spare);
    let mut done = stage.finish().unwrap().unwrap();
    stage.settle(&mut done);
    assert_eq!(stage.room(1, false).unwrap(), Room::Yes);
}

#[test]
fn a_full_disk_admits_what_still_fits_and_no_more() {
    let files = PowerLoss::new(1);
    let (mut stage, _) = stage(&files, LogPlace::Inline);
    files.set_capacity(Some(files.used()));
    assert!(!stage.admits(4000).unwrap());
    assert!(stage.admits(1000).unwrap());
    assert!(stage.admits(1000).unwrap());
    assert!(!stage.admits(2000).unwrap(), "what was admitted before counts");
}

#[test]
fn entries_that_cannot_be_read_stop_the_node() {
    let files = PowerLoss::new(1);
    let (mut stage, _) = stage(&files, LogPlace::Inline);
    stage.append(job(1));
    let mut done = stage.finish().unwrap().unwrap();
    stage.settle(&mut done);
    let mut fetch = |low| {
        let context = GetEntriesContext::empty(true);
        stage.fetch(Fetch { low: LogIndex(low), high: LogIndex(2), max_bytes: 100, context });
        let mut done = stage.finish()?.unwrap();
        stage.settle(&mut done);
        Ok::<_, LogError>(done.fetched.pop().unwrap().1)
    };
    assert_eq!(fetch(1).unwrap().len(), 1);
    assert!(fetch(0).unwrap().is_empty());
    files.power_loss();
    assert!(fetch(1).is_err());
}

#[test]
fn what_is_queued_during_a_sync_is_one_group() {
    let files = PowerLoss::new(1);
    let (mut stage, mut reports) = stage(&files, LogPlace::Thread);
    let (arrivals, open) = gate(&files);
    stage.append(job(1));
    assert!(stage.finish().unwrap().is_none());
    arrivals.recv_timeout(PATIENCE).unwrap();
    for number in 2..=4 {
        stage.append(job(number));
        assert!(stage.finish().unwrap().is_none());
    }
    assert_eq!(stage.room(1, false).unwrap(), Room::Later);
    open.send(()).unwrap();
    assert_eq!(reports.done(&mut stage).logged, Some(ReadyNumber(1)));
    arrivals.recv_timeout(PATIENCE).unwrap();
    open.send(()).unwrap();
    let group = reports.done(&mut stage);
    assert_eq!((group.logged, group.tasks), (Some(ReadyNumber(4)), 3));
    assert!(!stage.is_busy());
    assert!(arrivals.try_recv().is_err(), "two syncs were enough");
}

#[test]
fn empty_readies_do_not_pile_up_behind_a_sync() {
    let files = PowerLoss::new(1);
    let (mut stage, mut reports) = stage(&files, LogPlace::Thread);
    let (arrivals, open) = gate(&files);
    stage.append(job(1));
    stage.finish().unwrap();
    arrivals.recv_timeout(PATIENCE).unwrap();
    for number in 2..=1000 {
        stage.append(empty(number));
        stage.finish().unwrap();
    }
    open.send(()).unwrap();
    reports.done(&mut stage);
    let group = reports.done(&mut stage);
    assert_eq!((group.logged, group.tasks, group.sync), (Some(ReadyNumber(1000)), 1, None));
}

#[test]
fn what_nobody_waits_for_goes_along_with_the_next_group() {
    let (mut stage, mut reports) = stage(&PowerLoss::new(1), LogPlace::Thread);
    stage.append(LogJob { awaited: false, ..empty(1) });
    assert!(stage.finish().unwrap().is_none());
    assert!(!stage.is_busy());
    stage.append(LogJob { number: ReadyNumber(2), ..job(1) });
    stage.finish().unwrap();
    let group = reports.done(&mut stage);
    assert_eq!((group.logged, group.tasks), (Some(ReadyNumber(2)), 2));
}

#[test]
fn a_failed_sync_on_the_thread_is_reported_and_final() {
    let files = PowerLoss::new(1);
    let (mut stage, mut reports) = stage(&files, LogPlace::Thread);
    files.fail_sync_after(Some(0));
    stage.append(job(1));
    stage.finish().unwrap();
    assert!(matches!(reports.next(), LogEvent::Failed(LogError::File { .. })));
    stage.come_home();
    stage.append(job(2));
    assert!(matches!(stage.finish(), Err(LogError::Failed)));
}

#[test]
fn a_log_that_comes_home_has_done_everything() {
    let (mut stage, mut reports) = stage(&PowerLoss::new(1), LogPlace::Thread);
    stage.append(job(1));
    stage.finish().unwrap();
    stage.come_home();
    assert_eq!(reports.done(&mut stage).logged, Some(ReadyNumber(1)));
    stage.append(job(2));
    assert_eq!(stage.finish().unwrap().unwrap().logged, Some(ReadyNumber(2)));
}

#[test]
fn only_a_log_that_may_choose_moves_away_from_a_slow_disk() {
    let (bearable, slow) = (Duration::from_millis(25), Duration::from_millis(26));
    for (place, moves) in [(LogPlace::Inline, false), (LogPlace::Auto, true)] {
        let (mut stage, _) = stage(&PowerLoss::new(1), place);
        stage.come_home();
        stage.append(job(1));
        let mut done = stage.finish().unwrap().unwrap();
        stage.settle(&mut done);
        assert!(!stage.should_move(&Done { took: bearable, ..done }, bearable));
        stage.append(job(2));
        let done = stage.finish().unwrap().unwrap();
        assert_eq!(stage.should_move(&Done { took: slow, ..done }, bearable), moves);
    }
}

#[test]
fn a_deferred_log_reports_in_order_and_as_its_seed_says() {
    let passes = |seed| {
        let delay = Delay { seed, least: 0, most: 5 };
        let (mut stage, _) = stage(&PowerLoss::new(1), LogPlace::Deferred(delay));
        let mut reports = Vec::new();
        for number in 1..=50 {
            stage.append(job(number));
            assert!(stage.finish().unwrap().is_none());
            if let Some(mut done) = stage.pass().unwrap() {
                stage.settle(&mut done);
                reports.push((number, done.logged));
            }
        }
        assert!(reports.iter().all(|&(at, logged)| logged <= Some(ReadyNumber(at))));
        assert!(reports.iter().any(|&(at, logged)| logged < Some(ReadyNumber(at))));
        assert!(reports.is_sorted_by_key(|&(_, logged)| logged));
        reports
    };
    assert_eq!(passes(1), passes(1));
    assert_ne!(passes(1), passes(2));
}

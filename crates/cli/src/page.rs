//! The page of `summit run --serve`: the run while it is made, and from its end on the run itself.

use crate::args::AddressArgs;
use crate::commands::serve;
use crate::interrupt::Interrupt;
use crate::message;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use summit_site::Live;
use summit_site::schema::LivePhase;
use summit_summarize::Progress;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Between two looks at the progress.
const TICK: Duration = Duration::from_millis(500);

/// What browsers get to read the end of a run that was stopped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The page, on threads of its own.
pub struct Page {
    live: Live,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Page {
    /// Listens, says where, and shows `live`, with the progress of the pass.
    pub fn open(args: &AddressArgs, live: &Live, progress: &Arc<Progress>) -> Result<Self> {
        let runtime = serve::runtime()?;
        let server = serve::listen(&runtime, Arc::new(live.clone()), args)?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // The page goes with the program at the latest.
            let _ = stopped.await;
        };
        let server = runtime.spawn(server.run(stopped));
        runtime.spawn(follow(live.clone(), Arc::clone(progress)));
        Ok(Self {
            live: live.clone(),
            runtime,
            stop,
            server,
        })
    }

    /// What comes after the run: it is served until Ctrl-C. Of a run that ended early the page says why, and ends.
    ///
    /// * `outcome`: the exit code; none where the user stopped the run.
    pub fn end(
        self,
        outcome: Result<Option<ExitCode>>,
        run: &Path,
        local: bool,
        interrupt: &Interrupt,
    ) -> Result<Option<ExitCode>> {
        let served = outcome.and_then(|code| {
            if code.is_some() {
                self.live.complete(serve::open(run, None, None, local)?);
                message::note("the run is served; stop with Ctrl-C");
                interrupt.listen()?;
                self.runtime.block_on(interrupt.wait());
            }
            Ok(code)
        });
        let problem = match &served {
            Ok(Some(_)) => None,
            Ok(None) => Some("it was interrupted".to_owned()),
            Err(error) => Some(message::sentence(error)),
        };
        if let Some(problem) = problem {
            self.live.update(|file| {
                file.phase = LivePhase::Stopped;
                file.problem = Some(problem);
            });
        }
        // Nobody receives it where the server is gone already.
        let _ = self.stop.send(());
        let last_words = async { tokio::time::timeout(LAST_WORDS, self.server).await };
        let _ = self.runtime.block_on(last_words);
        self.runtime.shutdown_background();
        served
    }
}

/// Tells the browsers how far the pass is, now and then.
async fn follow(live: Live, progress: Arc<Progress>) {
    let mut before = None;
    loop {
        tokio::time::sleep(TICK).await;
        if live.phase() != LivePhase::Images {
            continue;
        }
        live.update(|file| {
            let (done, skipped) = *before.get_or_insert((file.done, file.skipped));
            file.done = done + progress.done.load(Ordering::Relaxed);
            file.skipped = skipped + progress.skipped.load(Ordering::Relaxed);
        });
    }
}

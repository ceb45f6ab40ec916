//! Ctrl-C, or a request to end: what it stops. One process can listen for it once.

use crate::message;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::sync::Notify;

/// Shared by what listens and what is stopped.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    listening: AtomicBool,
    /// There is nothing to say about it: no shards of this process are under way.
    quiet: AtomicBool,
    came: AtomicBool,
    first: Notify,
}

impl Interrupt {
    /// The one of this process.
    pub fn of_process() -> Self {
        static ONE: LazyLock<Interrupt> = LazyLock::new(Interrupt::default);
        ONE.clone()
    }

    /// From here on the first Ctrl-C stops at the next shard boundary, or ends what waits for it; the second ends
    /// the process at once.
    pub fn listen(&self) -> Result<()> {
        if self.0.listening.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        ctrlc::set_handler(move || {
            if shared.came.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            shared.first.notify_one();
            if !shared.quiet.load(Ordering::Relaxed) {
                message::note(
                    "stopping when the shards under way are done; press Ctrl-C again to stop at once",
                );
            }
        })
        .context("cannot listen for Ctrl-C")
    }

    /// As [`Self::listen`], without a word: what is under way is another process, which says so itself.
    pub fn listen_quietly(&self) -> Result<()> {
        self.0.quiet.store(true, Ordering::Relaxed);
        self.listen()
    }

    /// Set by the first.
    pub fn came(&self) -> &AtomicBool {
        &self.0.came
    }

    /// Waits for the first; at most one may wait.
    pub async fn wait(&self) {
        self.0.quiet.store(true, Ordering::Relaxed);
        self.0.first.notified().await;
    }
}

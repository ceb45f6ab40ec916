//! `summit serve`: a run, or an exported site, in the browser.

use crate::args::{AddressArgs, ServeArgs};
use crate::features::QueuePainter;
use crate::interrupt::Interrupt;
use crate::message;
use crate::query_args::RecountArgs;
use crate::served::ServedNetwork;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use summit_site::assets::Assets;
use summit_site::{Bundle, BundleSource, ServeOptions, Server, StaticBundle};
use tokio::runtime::Runtime;

pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let local = args.address.host.is_loopback();
    let source = open(&args.run, args.images.clone(), args.model.clone(), local)?;
    let runtime = runtime()?;
    let server = listen(&runtime, source, &args.address)?;
    message::note("stop with Ctrl-C");
    let interrupt = Interrupt::of_process();
    interrupt.listen()?;
    let served = runtime.block_on(server.run(async move { interrupt.wait().await }));
    served.context("the server failed")?;
    Ok(ExitCode::SUCCESS)
}

/// Threads that answer browsers.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server")
}

/// Listens, and says where.
pub fn listen(
    runtime: &Runtime,
    source: Arc<dyn BundleSource>,
    args: &AddressArgs,
) -> Result<Server> {
    if !args.host.is_loopback() {
        message::warning(&format!(
            "{} can be reached from the network; whoever can reach it can see the run and its images",
            args.host
        ));
    }
    let options = ServeOptions {
        address: SocketAddr::new(args.host, args.port),
        hosts: args.allow_host.clone(),
        assets: Assets {
            folder: args.ui_dir.clone(),
        },
        threads: super::default_threads(),
    };
    let server = runtime.block_on(Server::bind(source, options))?;
    message::print(&format!("http://{}/\n", server.address()))?;
    Ok(server)
}

/// What is served of a run or a site.
///
/// * `images`, `model`: where they are not where the run remembers them.
/// * `local`: nobody elsewhere can ask. Whoever is elsewhere may look, not have this computer work.
pub fn open(
    run: &Path,
    images: Option<PathBuf>,
    model: Option<PathBuf>,
    local: bool,
) -> Result<Arc<dyn BundleSource>> {
    if let Ok(site) = StaticBundle::open(run) {
        return Ok(Arc::new(site));
    }
    let bundle = Bundle::open(run, images.clone(), message::warning)?;
    if let Some(problem) = bundle.picture_problem() {
        message::warning(&format!("{problem} (see --images)"));
    }
    Ok(Arc::new(if local {
        let painter = QueuePainter::start(run, images.clone());
        let network = ServedNetwork::new(run.to_owned(), RecountArgs { model, images });
        bundle
            .with_network(Arc::new(network))
            .with_painter(Arc::new(painter))
    } else {
        bundle
    }))
}

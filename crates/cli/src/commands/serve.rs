//! `summit serve`: a run, or an exported site, in the browser.

use crate::args::ServeArgs;
use crate::features::QueuePainter;
use crate::message;
use crate::query_args::RecountArgs;
use crate::served::ServedNetwork;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use summit_site::assets::Assets;
use summit_site::{Bundle, BundleSource, ServeOptions, Server, StaticBundle};

pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let source = open(args)?;
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .context("cannot start the server")?;
    runtime.block_on(async {
        let server = Server::bind(source, options).await?;
        message::print(&format!("http://{}/\n", server.address()))?;
        message::note("stop with Ctrl-C");
        let stop = async {
            // Without a signal handler the server simply runs until it is ended.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        server.run(stop).await.context("the server failed")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn open(args: &ServeArgs) -> Result<Arc<dyn BundleSource>> {
    if let Ok(site) = StaticBundle::open(&args.run) {
        return Ok(Arc::new(site));
    }
    let bundle = Bundle::open(&args.run, args.images.clone(), message::warning)?;
    if let Some(problem) = bundle.picture_problem() {
        message::warning(&format!("{problem} (see --images)"));
    }
    // Whoever is elsewhere may look, not have this computer work.
    Ok(Arc::new(if args.host.is_loopback() {
        let places = RecountArgs {
            model: args.model.clone(),
            images: args.images.clone(),
        };
        let network = ServedNetwork::new(args.run.clone(), places);
        let painter = QueuePainter::start(&args.run, args.images.clone());
        bundle
            .with_network(Arc::new(network))
            .with_painter(Arc::new(painter))
    } else {
        bundle
    }))
}

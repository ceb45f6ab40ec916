//! What the program says of itself: completions, manual page, licences.

use crate::args::{Arguments, CompletionsArgs};
use crate::message;
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::process::ExitCode;
use summit_demo::networks;

/// `summit completions`: a shell's completion script.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "summit", &mut script);
    print(&script)
}

/// `summit man`: the manual page, one section a command.
pub fn man() -> Result<ExitCode> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    let write = "cannot write the manual page";
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .context(write)?;
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        let part = clap_mangen::Man::new(part.clone());
        part.render_name_section(&mut page).context(write)?;
        part.render_synopsis_section(&mut page).context(write)?;
        part.render_description_section(&mut page).context(write)?;
        part.render_options_section(&mut page).context(write)?;
    }
    print(&page)
}

/// `summit notices`: the licences of what is built in.
pub fn notices() -> Result<ExitCode> {
    let notices = [networks::NOTICE, summit_site::assets::FONT_LICENCE];
    print(notices.join("\n\n").as_bytes())
}

fn print(text: &[u8]) -> Result<ExitCode> {
    message::print(&String::from_utf8_lossy(text))?;
    Ok(ExitCode::SUCCESS)
}

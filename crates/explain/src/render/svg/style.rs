//! Colours and style sheet of the SVG.
//!
//! Every colour is there twice: as a presentation attribute, for viewers without CSS variables, and
//! as a rule on a variable, so that a page that embeds the drawing can set its own colours and a
//! browser follows the reader's light or dark preference.

use crate::graph::Side;
use std::fmt::Write;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The reader's preference; light where the viewer does not know it.
    #[default]
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// The colours of a theme.
pub(super) struct Palette {
    pub(super) paper: &'static str,
    pub(super) band: &'static str,
    pub(super) ink: &'static str,
    pub(super) muted: &'static str,
    pub(super) accent: &'static str,
    pub(super) on_accent: &'static str,
    pub(super) edge: &'static str,
    pub(super) opposes: &'static str,
    pub(super) first: &'static str,
    pub(super) second: &'static str,
    pub(super) tile: &'static str,
    pub(super) tile_ink: &'static str,
}

const LIGHT: Palette = Palette {
    paper: "#ffffff",
    band: "#f5f6fa",
    ink: "#1c2033",
    muted: "#5d6479",
    accent: "#1a237e",
    on_accent: "#ffffff",
    edge: "#3f51b5",
    opposes: "#c2570c",
    first: "#00796b",
    second: "#c2185b",
    tile: "#dfe3f5",
    tile_ink: "#1a237e",
};

const DARK: Palette = Palette {
    paper: "#12141c",
    band: "#191c27",
    ink: "#e8eaf2",
    muted: "#9aa2b8",
    accent: "#9fa8ff",
    on_accent: "#12141c",
    edge: "#8c9eff",
    opposes: "#ff9d5c",
    first: "#4fd8c0",
    second: "#ff86b3",
    tile: "#2a2f47",
    tile_ink: "#d5daff",
};

impl Palette {
    /// CSS class (with a space before it) and colour of a node or edge of a joint graph; `own` is the
    /// colour of what both groups have, and of every graph of one group.
    pub(super) fn of_side(
        &self,
        side: Option<Side>,
        own: &'static str,
    ) -> (&'static str, &'static str) {
        match side {
            Some(Side::First) => (" first", self.first),
            Some(Side::Second) => (" second", self.second),
            Some(Side::Shared) | None => ("", own),
        }
    }
}

impl Theme {
    /// The colours of the presentation attributes.
    pub(super) fn palette(self) -> &'static Palette {
        match self {
            Self::Auto | Self::Light => &LIGHT,
            Self::Dark => &DARK,
        }
    }

    /// The `<style>` element's text.
    ///
    /// `nodes`: hovering node k dims every edge without the class `k`.
    pub(super) fn style_sheet(self, nodes: usize) -> String {
        let mut css = format!(".sg{{{}}}\n", variables(self.palette()));
        if self == Self::Auto {
            let dark = variables(&DARK);
            css.push_str(&format!(
                "@media (prefers-color-scheme:dark){{.sg{{{dark}}}}}\n"
            ));
        }
        css.push_str(RULES);
        for node in 0..nodes {
            // Writing to a String cannot fail.
            let _ = writeln!(
                css,
                ".sg:has(.n{node}:hover) .e:not(.e{node}){{opacity:.07}}"
            );
        }
        css
    }
}

const RULES: &str = "\
.sg{font-family:Inter,Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif}
.paper{fill:var(--sg-paper)}.band{fill:var(--sg-band)}
.ink{fill:var(--sg-ink)}.muted{fill:var(--sg-muted)}
.halo{stroke:var(--sg-paper)}
.class{fill:var(--sg-accent)}.on-class{fill:var(--sg-on-accent)}
.e{stroke:var(--sg-edge);transition:opacity .15s}.opposes{stroke:var(--sg-opposes)}
.e:hover{stroke-opacity:1}
.tile{fill:var(--sg-tile)}.tile-ink{fill:var(--sg-tile-ink)}
.frame{stroke:var(--sg-accent)}
.first{stroke:var(--sg-first)}.second{stroke:var(--sg-second)}
.node:hover .frame{stroke-width:3}
@media (prefers-reduced-motion:reduce){.e{transition:none}}
";

fn variables(palette: &Palette) -> String {
    let Palette {
        paper,
        band,
        ink,
        muted,
        accent,
        on_accent,
        edge,
        opposes,
        first,
        second,
        tile,
        tile_ink,
    } = palette;
    format!(
        "--sg-paper:{paper};--sg-band:{band};--sg-ink:{ink};--sg-muted:{muted};\
         --sg-accent:{accent};--sg-on-accent:{on_accent};--sg-edge:{edge};\
         --sg-opposes:{opposes};--sg-first:{first};--sg-second:{second};--sg-tile:{tile};--sg-tile-ink:{tile_ink}"
    )
}

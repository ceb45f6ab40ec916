//! An explanation for people: a page of text, or one HTML file with everything in it.

use super::compare::ComparedChannel;
use super::measure::{Explanation, ImageChannel, Measured, plane};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use summit_explain::graph::GraphNode;
use summit_explain::render::{SvgOptions, TextOptions, Theme, data_uri, render_svg, render_text};
use summit_images::{DecodedImage, encode_jpeg};

/// Channels shown with a heat map, per layer.
const SHOWN: usize = 6;

/// Quality of pictures; heat maps are soft.
const JPEG_QUALITY: u8 = 80;

/// Brightness of what does not activate a channel.
const DIM: f32 = 0.4;

pub fn text(explanation: &Explanation) -> String {
    let mut text = format!("{}\n", explanation.image);
    for line in &explanation.prediction {
        let _ = writeln!(
            text,
            "  {:5.1} %  {}",
            100.0 * line.probability,
            line.class.name
        );
    }
    let _ = writeln!(
        text,
        "margin of \"{}\" over \"{}\": {:.3}\n",
        explanation.class.name, explanation.runner_up.name, explanation.margin
    );
    text += &render_text(&explanation.graph, &TextOptions::default());
    if let Some(comparison) = &explanation.comparison {
        let _ = writeln!(
            text,
            "\nbeside the {} graph of {} images: {} channels shared, {} usual ones missing, {} unusual ones",
            comparison.measure.name(),
            comparison.images,
            comparison.shared.len(),
            comparison.missing.len(),
            comparison.unusual.len()
        );
    }
    text
}

/// The page. It asks for nothing from anywhere: pictures are data addresses, there is no script.
pub fn html(measured: &Measured) -> Result<String> {
    let explanation = &measured.explanation;
    let photo = picture(&measured.pixels)?;
    let heat: BTreeMap<(u32, u32), String> = shown(&explanation.channels)
        .map(|channel| {
            Ok((
                (channel.layer, channel.channel),
                heat_map(measured, channel)?,
            ))
        })
        .collect::<Result<_>>()?;
    let thumbnail = |node: &GraphNode| heat.get(&(node.layer, node.channel.0)).cloned();
    let svg = render_svg(
        &explanation.graph,
        &SvgOptions {
            theme: Theme::Auto,
            thumbnail: &thumbnail,
        },
    );
    // A drawing that stands alone begins with a declaration, which has no place inside a page.
    let svg = svg
        .find("<svg")
        .and_then(|start| svg.get(start..))
        .unwrap_or(&svg);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n\
         <p><img class=\"photo\" src=\"{photo}\" alt=\"What the network sees of the image\"></p>\n",
        title = escaped(&format!("Why \"{}\"?", explanation.class.name)),
    );
    prediction(&mut page, explanation);
    let _ = writeln!(
        page,
        "<h2>Graph of this image</h2>\n<div class=\"graph\">{svg}</div>"
    );
    channels(&mut page, measured, &heat);
    comparison(&mut page, explanation);
    page += "</main>\n</html>\n";
    Ok(page)
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;color-scheme:light dark}\
    main{max-width:72rem;margin:auto;padding:1rem}.graph{overflow-x:auto}\
    .photo{width:224px}ul.tiles{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.75rem}\
    .tiles img{width:112px;display:block}.tiles small{display:block}\
    td,th{padding:0 .75rem;text-align:left}td.number{text-align:right}";

fn prediction(page: &mut String, explanation: &Explanation) {
    let _ = writeln!(
        page,
        "<p>File {}, {} x {} pixels.</p>\n<table><tr><th>Class<th>Probability</tr>",
        escaped(&explanation.image),
        explanation.size[0],
        explanation.size[1]
    );
    for line in &explanation.prediction {
        let _ = writeln!(
            page,
            "<tr><td>{}<td class=\"number\">{:.1} %</tr>",
            escaped(&line.class.name),
            100.0 * line.probability
        );
    }
    let _ = writeln!(
        page,
        "</table>\n<p>The logit of {} is {:.3} above that of {}.</p>",
        escaped(&explanation.class.name),
        explanation.margin,
        escaped(&explanation.runner_up.name)
    );
}

/// The first few channels of each layer.
fn shown(channels: &[ImageChannel]) -> impl Iterator<Item = &ImageChannel> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    channels.iter().filter(move |channel| {
        let count = counts.entry(channel.layer).or_default();
        *count += 1;
        *count <= SHOWN
    })
}

fn channels(page: &mut String, measured: &Measured, heat: &BTreeMap<(u32, u32), String>) {
    let explanation = &measured.explanation;
    page.push_str(
        "<h2>Where its channels are active</h2>\n\
         <p>Full colour where the channel is most active, dark where it is not.</p>\n",
    );
    // From the classes down, as in the graph.
    for layer in measured.layers.iter().rev() {
        let own = |channel: &&ImageChannel| channel.layer == layer.id.0;
        let mut tiles = shown(&explanation.channels).filter(own).peekable();
        if tiles.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            page,
            "<h3>{}</h3>\n<ul class=\"tiles\">",
            escaped(&layer.name)
        );
        for tile in tiles {
            let picture = heat
                .get(&(tile.layer, tile.channel))
                .map_or("", String::as_str);
            let _ = writeln!(
                page,
                "<li><img src=\"{picture}\" alt=\"Where channel {number} is active\">\
                 <small>channel {number}</small><small>R {:.3}</small>",
                tile.score,
                number = tile.channel
            );
        }
        page.push_str("</ul>\n");
    }
}

fn comparison(page: &mut String, explanation: &Explanation) {
    let Some(comparison) = &explanation.comparison else {
        return;
    };
    let _ = writeln!(
        page,
        "<h2>Beside the graph of its class</h2>\n\
         <p>The graph of {} ({} images, {}) and that of this image (flow) choose channels by \
         different measures: what only one of them holds is a hint.</p>",
        escaped(&explanation.class.name),
        comparison.images,
        comparison.measure.name()
    );
    for (title, channels) in [
        ("In both", &comparison.shared),
        ("Usual, missing here", &comparison.missing),
        ("Unusual, present here", &comparison.unusual),
    ] {
        let _ = writeln!(
            page,
            "<h3>{title}: {}</h3>\n<p>{}</p>",
            channels.len(),
            listed(channels, explanation)
        );
    }
}

fn listed(channels: &[ComparedChannel], explanation: &Explanation) -> String {
    let names: Vec<String> = channels
        .iter()
        .map(|channel| {
            let layer = explanation.graph.layers.get(channel.layer as usize);
            let layer = layer.map_or("", |layer| layer.name.as_str());
            format!("{}:{}", escaped(layer), channel.channel)
        })
        .collect();
    names.join(", ")
}

/// The input, bright where the channel is active.
fn heat_map(measured: &Measured, channel: &ImageChannel) -> Result<String> {
    let pixels = &measured.pixels;
    let index = channel.layer as usize;
    let layer = measured.layers.get(index).context("a layer is missing")?;
    let map = measured.maps.0.get(index).context("a layer is missing")?;
    let plane: Vec<f32> = plane(layer, map, channel.channel as usize).collect();
    let (rows, columns) = (layer.height as usize, layer.width as usize);
    let (height, width) = (pixels.height() as usize, pixels.width() as usize);
    let place = |pixel: usize, extent: usize, units: usize| {
        let at = (pixel as f32 + 0.5) * units as f32 / extent as f32 - 0.5;
        let at = at.clamp(0.0, units.saturating_sub(1) as f32);
        (
            at as usize,
            (at as usize + 1).min(units.saturating_sub(1)),
            at.fract(),
        )
    };
    let value = |row: usize, column: usize| {
        let found = plane.get(row * columns + column).copied().unwrap_or(0.0);
        (found / channel.activation.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0)
    };
    let mut drawn = Vec::with_capacity(pixels.data().len());
    for (index, pixel) in pixels.data().chunks_exact(3).enumerate() {
        let (top, bottom, dy) = place(index / width, height, rows);
        let (left, right, dx) = place(index % width, width, columns);
        let across = |row| value(row, left) * (1.0 - dx) + value(row, right) * dx;
        // The root shows weak activations too.
        let light = (across(top) * (1.0 - dy) + across(bottom) * dy).sqrt();
        let grey = pixel.iter().map(|&level| f32::from(level)).sum::<f32>() / 3.0;
        for &level in pixel {
            drawn.push((f32::from(level) * light + DIM * grey * (1.0 - light)) as u8);
        }
    }
    let drawn = DecodedImage::from_rgb(pixels.width(), pixels.height(), drawn);
    picture(&drawn.context("the heat map has the wrong extents")?)
}

fn picture(image: &DecodedImage) -> Result<String> {
    Ok(data_uri("image/jpeg", &encode_jpeg(image, JPEG_QUALITY)?))
}

/// Names come from model files and folders of others.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(
            escaped("<b a='1'>\"&\u{7}"),
            "&lt;b a=&#39;1&#39;&gt;&quot;&amp;\u{fffd}"
        );
    }
}

//! An evaluation as one self-contained HTML page.

use crate::evaluate::{AblationKind, Curve, Figure, Report, SIZES, Scope};
use std::fmt::Write as _;

/// Size of a plot, CSS pixels.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
/// Room for axis labels.
const EDGE: f64 = 36.0;
/// Largest and smallest share of the margin drawn.
const TOP: f64 = 1.5;
const BOTTOM: f64 = -0.5;

/// Colours that differ for the colour-blind as well (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#444444",
];

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}table{border-collapse:collapse;font-variant-numeric:tabular-nums;display:block;\
overflow-x:auto}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}small{color:#666}figure{display:inline-block;margin:.5rem}";

/// The page.
#[must_use]
pub fn report_html(report: &Report, model: &str) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Faithfulness: {0}</title>\
         <style>{STYLE}</style><h1>Faithfulness of influences: {0}</h1>",
        escape(model)
    );
    let [fit, held_out] = [1, 2].map(|side| {
        let sizes = report
            .groups
            .iter()
            .map(|group| if side == 1 { group.1 } else { group.2 });
        sizes.sum::<usize>()
    });
    page += &format!(
        "<p>{} groups, {fit} images to fit on, {held_out} held out; {} channels. Intervals are 95 % \
         bootstrap intervals over held-out images (edges: over groups).</p>",
        report.groups.len(),
        report.nodes
    );
    for scope in Scope::ALL {
        for ablation in AblationKind::ALL {
            page += &section(report, scope, ablation);
        }
    }
    page +=
        "<h2>Stability</h2><table><tr><th>measure<th>Jaccard index of halves<th>of resamples</tr>";
    for row in &report.stability {
        page += &format!(
            "<tr><td>{}<td>{:.2}<td>{:.2}</tr>",
            escape(&row.measure),
            row.halves,
            row.bootstrap
        );
    }
    page += "</table>";
    if let Some(shuffled) = report.shuffled_weights {
        page += &format!(
            "<p>Rank correlation of flow's scores with those of the network with shuffled weights: \
             {shuffled:.2}.</p>"
        );
    }
    page + "</html>\n"
}

/// The curves of one scope and ablation.
fn section(report: &Report, scope: Scope, ablation: AblationKind) -> String {
    let curves: Vec<&Curve> = report
        .curves
        .iter()
        .filter(|curve| (curve.scope, curve.ablation) == (scope, ablation))
        .collect();
    let place = match scope {
        Scope::Layer => "One layer at a time",
        Scope::Circuit => "All layers at once",
    };
    let mut page = format!("<h2>{place}: channels replaced by {}</h2>", words(ablation));
    page += &plot(
        "margin left with only the first channels",
        &curves,
        |curve| &curve.kept,
        0.0,
    );
    page += &plot(
        "margin left without the first channels",
        &curves,
        |curve| &curve.cut,
        1.0,
    );
    page + &legend(&curves) + &figures(report, &curves)
}

fn words(ablation: AblationKind) -> &'static str {
    match ablation {
        AblationKind::Mean => "their mean",
        AblationKind::Zero => "zero",
        AblationKind::Resample => "their map on another group's image",
    }
}

fn escape(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    escaped.replace('>', "&gt;").replace('"', "&quot;")
}

/// A point of a plot; sizes on a logarithmic axis from 0.1 % to 100 %.
fn point(size: f64, share: f64) -> [f64; 2] {
    let x = (size.log10() + 3.0) / 3.0;
    let y = (share.clamp(BOTTOM, TOP) - BOTTOM) / (TOP - BOTTOM);
    [
        EDGE + x * (WIDTH - 2.0 * EDGE),
        HEIGHT - EDGE - y * (HEIGHT - 2.0 * EDGE),
    ]
}

fn plot(title: &str, curves: &[&Curve], values: fn(&Curve) -> &Vec<f64>, level: f64) -> String {
    let mut svg = format!(
        "<figure><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{title}\" \
         font-size=\"11\" fill=\"none\">"
    );
    for share in [-0.5, 0.0, 0.5, 1.0, 1.5] {
        let [[x, y], [right, _]] = [point(0.001, share), point(1.0, share)];
        let _ = write!(
            svg,
            "<path d=\"M{x} {y}H{right}\" stroke=\"{}\"/><text x=\"{}\" y=\"{}\" fill=\"#666\" \
             text-anchor=\"end\">{share}</text>",
            if share == level { "#999" } else { "#e4e4e4" },
            x - 4.0,
            y + 4.0
        );
    }
    for (size, name) in [
        (0.001, "0.1 %"),
        (0.01, "1 %"),
        (0.1, "10 %"),
        (1.0, "100 %"),
    ] {
        let [x, y] = point(size, BOTTOM);
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{}\" fill=\"#666\" text-anchor=\"middle\">{name}</text>",
            y + 16.0
        );
    }
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let sizes = SIZES.into_iter().chain([1.0]);
        let points = sizes.zip(values(curve)).map(|(size, &share)| {
            let [x, y] = point(size, share);
            format!("{x:.1},{y:.1}")
        });
        let points: Vec<String> = points.collect();
        let _ = write!(
            svg,
            "<polyline stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    format!("{svg}</svg><figcaption>{title}</figcaption></figure>")
}

fn legend(curves: &[&Curve]) -> String {
    let entries = curves
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(|(curve, colour)| {
            format!(
                "<span style=\"color:{colour}\">&#9644;</span> {}&ensp;",
                escape(&curve.measure)
            )
        });
    format!("<p>{}</p>", entries.collect::<String>())
}

fn figures(report: &Report, curves: &[&Curve]) -> String {
    let figure = |figure: &Figure| {
        let interval = figure.interval.map_or(String::new(), |[low, high]| {
            format!(" <small>[{low:.2}, {high:.2}]</small>")
        });
        format!("<td>{:.2}{interval}", figure.value)
    };
    let mut table = String::from(
        "<table><tr><th>measure<th>SRG<th>CPR<th>CMD<th>deletion<th>F(10 %)<th>specificity\
         <th>edge Spearman<th>sign accuracy</tr>",
    );
    for curve in curves {
        let _ = write!(table, "<tr><td>{}", escape(&curve.measure));
        let own = [
            &curve.srg,
            &curve.cpr,
            &curve.cmd,
            &curve.deletion,
            &curve.kept_at_10_percent,
            &curve.specificity,
        ];
        table.extend(own.map(figure));
        let edge = report.edges_of(curve);
        table += &edge.map_or("<td>".to_owned(), |edge| figure(&edge.spearman));
        let sign = edge.and_then(|edge| edge.sign_accuracy);
        table += &sign.map_or("<td>".to_owned(), |sign| {
            format!("<td>{:.0} %", 100.0 * sign)
        });
        table += "</tr>";
    }
    table + "</table>"
}

//! Plots of what was measured, as SVG.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::table::{Growth, Table};

const HEAD: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"12\"";
const OURS: &str = "#1f77b4";
const WORSE: &str = "#d62728";
const GREY: &str = "#888";
/// Height of a bar with the room around it.
const LINE: f64 = 20.0;
/// Where the bars begin, and how long one of ratio 1 is.
const LEFT: f64 = 140.0;
const UNIT: f64 = 360.0;
/// The largest ratio that is drawn to scale.
const MOST: f64 = 1.2;
/// A plot of growth: its size, and the room around it for words.
const SIDE: f64 = 220.0;
const ROOM: f64 = 50.0;

/// Writes `ratios.svg` and `growth.svg` into the folder.
pub(crate) fn write(table: &Table, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("ratios.svg"), ratios(table)).unwrap();
    if !table.growth.is_empty() {
        fs::write(folder.join("growth.svg"), growth(&table.growth)).unwrap();
    }
    println!("# plots written to {}", folder.display());
}

/// A bar per row: our time as a part of the peer's, with a tick at the aim.
fn ratios(table: &Table) -> String {
    #[expect(clippy::cast_precision_loss, reason = "some dozens of rows")]
    let height = LINE * (table.rows.len() + 2) as f64;
    let width = LEFT + MOST * UNIT + 60.0;
    let mut svg = format!("{HEAD} width=\"{width}\" height=\"{height}\">\n");
    svg.push_str("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    let peer = LEFT + UNIT;
    let _ = writeln!(
        svg,
        "<text x=\"{peer}\" y=\"14\" text-anchor=\"middle\">the peer's time</text>\n\
         <line x1=\"{peer}\" x2=\"{peer}\" y1=\"20\" y2=\"{height}\" stroke=\"{GREY}\"/>"
    );
    let mut top = LINE * 1.2;
    for measured in &table.rows {
        let length = measured.ratio.min(MOST) * UNIT;
        let color = if measured.ratio <= 1.0 { OURS } else { WORSE };
        let (text, end) = (top + 13.0, LEFT + length + 5.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top:.0}\" width=\"{length:.1}\" height=\"16\" fill=\"{color}\"/>\n\
             <text x=\"{end:.0}\" y=\"{text:.0}\">{:.2}</text>",
            LEFT - 8.0,
            measured.row.name,
            measured.ratio
        );
        if let Some(aim) = measured.row.aim {
            let at = LEFT + aim.min(MOST) * UNIT;
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.0}\" y2=\"{:.0}\" stroke=\"black\" stroke-width=\"2\"/>",
                top - 2.0,
                top + 18.0
            );
        }
        top += LINE;
    }
    svg.push_str("</svg>\n");
    svg
}

/// A small plot for each cost, side by side.
fn growth(lines: &[Growth]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a handful of plots")]
    let width = lines.len() as f64 * (SIDE + ROOM) + ROOM;
    let height = SIDE + 2.0 * ROOM;
    let mut svg = format!("{HEAD} width=\"{width}\" height=\"{height}\">\n");
    svg.push_str("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    let mut left = ROOM;
    for line in lines {
        one_growth(&mut svg, line, left);
        left += SIDE + ROOM;
    }
    svg.push_str("</svg>\n");
    svg
}

fn one_growth(svg: &mut String, line: &Growth, left: f64) {
    let most = |pick: fn(&(f64, f64)) -> f64| line.points.iter().map(pick).fold(0.0, f64::max);
    let (most_x, most_y) = (most(|point| point.0), most(|point| point.1) * 1.1);
    let bottom = ROOM + SIDE;
    let right = left + SIDE;
    let middle = left + SIDE / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"20\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{left}\" y=\"{:.0}\" text-anchor=\"middle\">{most_y:.3} s</text>\n\
         <text x=\"{right}\" y=\"{:.0}\" text-anchor=\"end\">{most_x:.0} {}</text>\n\
         <path d=\"M{left} {ROOM} V{bottom} H{right}\" fill=\"none\" stroke=\"{GREY}\"/>",
        line.name,
        ROOM - 6.0,
        bottom + 18.0,
        line.unit
    );
    let place = |(x, y): &(f64, f64)| (left + x / most_x * SIDE, bottom - y / most_y * SIDE);
    let mut path = String::new();
    for point in &line.points {
        let (x, y) = place(point);
        let _ = write!(path, "{x:.1},{y:.1} ");
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{OURS}\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{OURS}\"/>",
        path.trim_end()
    );
}

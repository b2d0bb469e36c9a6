//! The table for a person and the flat JSON file for a program.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::failure::{Context, Result};
use crate::figures::Series;

/// Figures in the order in which they were taken.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

struct Row {
    name: String,
    series: Series,
    target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn verdict(self, median: f64) -> String {
        let (met, sign, bound) = match self {
            Target::AtMost(most) => (median <= most, "<=", most),
            Target::AtLeast(least) => (median >= least, ">=", least),
        };
        format!("{sign} {} {}", short(bound), if met { "met" } else { "MISSED" })
    }
}

impl Report {
    /// Adds a figure of several rounds.
    pub fn series(&mut self, name: impl Into<String>, series: Series) {
        self.rows.push(Row { name: name.into(), series, target: None });
    }

    /// Adds a figure that was taken once.
    pub fn once(&mut self, name: impl Into<String>, value: f64) {
        self.series(name, Series(vec![value]));
    }

    /// Adds a figure that should be at most `target`.
    pub fn against(&mut self, name: impl Into<String>, series: Series, target: f64) {
        self.rows.push(Row { name: name.into(), series, target: Some(Target::AtMost(target)) });
    }

    /// Adds a figure that should be at least `target`.
    pub fn at_least(&mut self, name: impl Into<String>, series: Series, target: f64) {
        self.rows.push(Row { name: name.into(), series, target: Some(Target::AtLeast(target)) });
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<32} {:>10} {:>22} {:>8} {:>4}  {}",
            "figure", "median", "min .. max", "MAD", "n", "target"
        )];
        lines.extend(self.rows.iter().map(Row::line));
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.join("\n")
    }

    /// Writes figure name → median.
    pub fn write(&self, file: &Path) -> Result<()> {
        let figures: Map<String, Value> =
            self.rows.iter().map(|row| (row.name.clone(), rounded(row.series.median()))).collect();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, serde_json::to_string_pretty(&figures)? + "\n").context(file.display())
    }
}

impl Row {
    fn line(&self) -> String {
        let series = &self.series;
        let spread = match series.0.len() {
            1 => String::new(),
            _ => format!("{} .. {}", short(series.min()), short(series.max())),
        };
        let target = self.target.map_or(String::new(), |target| target.verdict(series.median()));
        format!(
            "{:<32} {:>10} {spread:>22} {:>8} {:>4}  {target}",
            self.name,
            short(series.median()),
            short(series.mad()),
            series.0.len(),
        )
        .trim_end()
        .to_owned()
    }
}

/// Three significant digits or so: more would be noise.
fn short(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 && value.fract() != 0.0 => format!("{value:.2}"),
        middle if middle < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn rounded(value: f64) -> Value {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.fract() == 0.0 { Value::from(rounded as i64) } else { Value::from(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_flat_numbers_and_the_table_says_what_was_missed() {
        let mut report = Report::default();
        report.against("cpu_ratio_pipeline", Series(vec![1.4, 1.6, 1.51]), 1.5);
        report.once("reload_failed", 0.0);
        report.at_least("redact_scan_mb_s", Series(vec![99.0]), 100.0);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("target/bench.json");
        report.write(&file).expect("written");
        let text = fs::read_to_string(&file).expect("read");
        let figures: Map<String, Value> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(figures["cpu_ratio_pipeline"], 1.51);
        assert_eq!(figures["reload_failed"], 0);
        assert_eq!(report.table().matches("MISSED").count(), 2);
    }
}

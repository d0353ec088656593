//! The QR code as SVG: a white square and one path, nothing that a content security policy could object to.

use super::{QUIET_ZONE, QrMatrix};

impl QrMatrix {
    /// An SVG document of the symbol with its quiet zone, black on white whatever the page's colours; one unit is one module.
    /// A title is what assistive technology reads out.
    pub fn to_svg(&self, title: Option<&str>) -> String {
        let side = self.size() + 2 * QUIET_ZONE;
        let (role, title) = match title {
            Some(title) => (" role=\"img\"", format!("<title>{}</title>", escaped(title))),
            None => ("", String::new()),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"{role}>{title}\
             <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{}\"/></svg>",
            self.svg_path()
        )
    }

    /// The dark modules as SVG path data: one rectangle for each run in a row, moved by the quiet zone.
    pub fn svg_path(&self) -> String {
        // Most of the time would go into writing the same few numbers.
        let numbers: Vec<String> = (0..=self.size() + QUIET_ZONE).map(|number| number.to_string()).collect();
        let mut path = String::new();
        let written = |number: usize| numbers.get(number).map_or("", String::as_str);
        for (y, row) in self.rows().enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|left, right| left == right) {
                if run.first() == Some(&true) {
                    let (left, top, width) =
                        (written(x + QUIET_ZONE), written(y + QUIET_ZONE), written(run.len()));
                    path.extend(["M", left, " ", top, "h", width, "v1h-", width, "z"]);
                }
                x += run.len();
            }
        }
        path
    }
}

/// Text as XML content (XML 1.0 §2.4); control characters, which XML cannot have, are dropped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|c| !c.is_control()) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

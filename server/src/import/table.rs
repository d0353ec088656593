//! Rows of tables as database clients and frameworks write them: CSV with a header, a JSON array of objects, JSON lines, and the
//! fixtures of Django's `manage.py dumpdata`.

use csv_core::{ReadRecordResult, ReaderBuilder};
use serde_json::StreamDeserializer;
use serde_json::de::StrRead;
use zeroize::{Zeroize as _, Zeroizing};

use super::json::Json;
use super::{ImportError, Place, SourceFile, Unit};

/// The most rows of one file.
pub(crate) const MAX_ROWS: usize = 1_000_000;
/// The most columns of a CSV file.
const MAX_COLUMNS: usize = 256;
/// The most bytes of one row of a CSV file.
const MAX_ROW_BYTES: usize = 256 * 1024;

/// A row: what it is of, and its cells by column, of those columns that the reader asked for.
pub(crate) struct Row {
    file: usize,
    number: usize,
    /// The model, in lower case, where the file is a fixture of Django.
    pub(crate) model: Option<String>,
    cells: Vec<(&'static str, Json)>,
}

impl Row {
    /// Where it stands.
    pub(crate) fn place(&self, files: &[SourceFile]) -> Option<Place> {
        files.get(self.file).map(|file| file.at(Unit::Row, self.number))
    }

    /// Whether the file has this column for the row, whatever its value.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.cells.iter().any(|(name, _)| *name == column)
    }

    /// The value of a column, the first if there are several; `None` where it is missing or null.
    pub(crate) fn get(&self, column: &str) -> Option<&Json> {
        let (_, value) = self.cells.iter().find(|(name, _)| *name == column)?;
        (!matches!(value, Json::Null)).then_some(value)
    }

    /// The text of a column.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.get(column).and_then(Json::text)
    }

    /// An identifier: a text or a whole number, the former as it is. Django's natural keys are lists of one text.
    pub(crate) fn id(&self, columns: &[&str]) -> Option<String> {
        let value = columns.iter().find_map(|column| self.get(column))?;
        let value = match value.list() {
            Some([only]) => only,
            Some(_) => return None,
            None => value,
        };
        match value {
            Json::Text(text) => Some(text.to_string()).filter(|text| !text.is_empty()),
            Json::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn int(&self, column: &str) -> Option<i64> {
        self.get(column).and_then(Json::int)
    }

    /// Yes or no, as databases write it; `None` where it is missing or neither.
    pub(crate) fn flag(&self, column: &str) -> Option<bool> {
        match self.get(column)? {
            Json::Bool(value) => Some(*value),
            Json::Int(0) => Some(false),
            Json::Int(1) => Some(true),
            Json::Text(text) => match text.to_ascii_lowercase().as_str() {
                "t" | "true" | "1" | "yes" => Some(true),
                "f" | "false" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The rows of all files, in order, with these columns; what stands in others is not kept.
///
/// # Errors
/// A file is none of these formats, or too large.
pub(crate) fn rows(files: &[SourceFile], columns: &[&'static str]) -> Result<Vec<Row>, ImportError> {
    let mut rows = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let mut table = Table { file, number, columns, count: 0, rows: &mut rows };
        if is_json(file.text()?) { table.json()? } else { table.csv()? }
    }
    Ok(rows)
}

/// Whether a text begins like JSON.
pub(crate) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{'])
}

/// Values one after the other: one, or JSON lines.
pub(crate) fn values(text: &str) -> StreamDeserializer<'_, StrRead<'_>, Json> {
    serde_json::Deserializer::from_str(text).into_iter()
}

/// A file on its way into rows.
struct Table<'a> {
    file: &'a SourceFile,
    number: usize,
    columns: &'a [&'static str],
    count: usize,
    rows: &'a mut Vec<Row>,
}

impl Table<'_> {
    fn json(&mut self) -> Result<(), ImportError> {
        for value in values(self.file.text()?) {
            match value.map_err(|error| self.file.wrong(Unit::Line, error.line(), "it is no JSON"))? {
                Json::List(list) => list.into_iter().try_for_each(|value| self.object(value))?,
                value => self.object(value)?,
            }
        }
        Ok(())
    }

    fn object(&mut self, value: Json) -> Result<(), ImportError> {
        let model = value.get("model").and_then(Json::text).map(str::to_ascii_lowercase);
        match (model, value) {
            (Some(model), Json::Map(members)) if members.iter().any(|(name, _)| name == "fields") => {
                self.push(Some(model), fixture(members))
            }
            (_, Json::Map(members)) => self.push(None, members),
            _ => Err(self.file.wrong(Unit::Row, self.count + 1, "it is no object")),
        }
    }

    fn csv(&mut self) -> Result<(), ImportError> {
        let mut records = Records::of(self.file)?;
        let Some(header) = records.next()? else {
            return Err(ImportError::Malformed { place: self.file.whole(), what: "it is empty" });
        };
        if header.iter().any(|name| name.trim().is_empty()) {
            return Err(self.file.wrong(Unit::Line, 1, "it does not name the columns"));
        }
        while let Some(record) = records.next()? {
            if record.len() != header.len() {
                return Err(records.wrong("it has not as many columns as the header"));
            }
            self.push(None, header.iter().map(|name| name.trim()).zip(record.into_iter().map(cell)))?;
        }
        Ok(())
    }

    fn push<N: AsRef<str>>(
        &mut self,
        model: Option<String>,
        cells: impl IntoIterator<Item = (N, Json)>,
    ) -> Result<(), ImportError> {
        self.count += 1;
        let column = |name: &str| self.columns.iter().copied().find(|column| *column == name);
        let cells =
            cells.into_iter().filter_map(|(name, value)| Some((column(name.as_ref())?, value))).collect();
        if self.rows.len() >= MAX_ROWS {
            return Err(self.file.wrong(Unit::Row, self.count, "there are more than a million rows"));
        }
        self.rows.push(Row { file: self.number, number: self.count, model, cells });
        Ok(())
    }
}

/// The cells of a row of Django's fixtures: its fields, and its key as `id`.
fn fixture(members: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut cells = Vec::new();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("fields", Json::Map(fields)) => cells.extend(fields),
            ("pk", value) => cells.push(("id".to_owned(), value)),
            _ => {}
        }
    }
    cells
}

/// What clients write for null: nothing, `NULL` (mysql), `\N` (mysqldump, `PostgreSQL`'s text format).
fn cell(text: Zeroizing<String>) -> Json {
    if matches!(text.as_str(), "" | "NULL" | "\\N") { Json::Null } else { Json::Text(text) }
}

/// The records of a CSV file (RFC 4180), read into a buffer that is wiped.
struct Records<'a> {
    file: &'a SourceFile,
    reader: csv_core::Reader,
    rest: &'a [u8],
    buffer: Zeroizing<Vec<u8>>,
    ends: [usize; MAX_COLUMNS],
    /// The line that the last record begins in, from 1.
    line: u64,
}

impl<'a> Records<'a> {
    fn of(file: &'a SourceFile) -> Result<Self, ImportError> {
        let bytes = file.text()?.as_bytes();
        // The separator is what the header has: programs of some countries write semicolons, and others tabs.
        let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let has = |separator: &u8| header.contains(separator);
        let delimiter = [b',', b'\t', b';'].into_iter().find(has).unwrap_or(b',');
        Ok(Self {
            file,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            rest: bytes,
            buffer: Zeroizing::new(vec![0; MAX_ROW_BYTES]),
            ends: [0; MAX_COLUMNS],
            line: 0,
        })
    }

    /// Something is wrong with the last record.
    fn wrong(&self, what: &'static str) -> ImportError {
        self.file.wrong(Unit::Line, usize::try_from(self.line).unwrap_or(usize::MAX), what)
    }

    fn next(&mut self) -> Result<Option<Vec<Zeroizing<String>>>, ImportError> {
        self.line = self.reader.line();
        let (mut written, mut fields) = (0, 0);
        loop {
            let (buffer, ends) = (self.buffer.get_mut(written..), self.ends.get_mut(fields..));
            let (Some(buffer), Some(ends)) = (buffer, ends) else {
                return Err(self.wrong("it is too long"));
            };
            let (result, read, wrote, ended) = self.reader.read_record(self.rest, buffer, ends);
            self.rest = self.rest.get(read..).unwrap_or_default();
            written += wrote;
            fields += ended;
            match result {
                // The end of the input has to be said by an empty one.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(self.wrong("it is too long"));
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        let mut record = Vec::with_capacity(fields);
        let mut start = 0;
        for &end in self.ends.get(..fields).unwrap_or_default() {
            let field = self.buffer.get(start..end).unwrap_or_default();
            let text = str::from_utf8(field).map_err(|_| self.wrong("it is no UTF-8 text"))?;
            record.push(Zeroizing::new(text.to_owned()));
            start = end;
        }
        if let Some(used) = self.buffer.get_mut(..written) {
            used.zeroize();
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::file;

    fn read(text: &str) -> Result<Vec<Row>, ImportError> {
        rows(&[file("table", text)], &["id", "name", "on", "data", "last", "user", "user_id"])
    }

    fn error(text: &str) -> String {
        read(text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn csv_is_read_however_it_is_written() {
        for text in [
            "id,name,on\r\n1,\"a \"\"b\"\", c\nd\",t\r\n2,NULL,f\r\n",
            "\u{feff}id;name;on\n1;\"a \"\"b\"\", c\nd\";true\n2;;0",
            "id\tname\ton\n1\t\"a \"\"b\"\", c\nd\"\t1\n2\t\\N\tno\n\n",
        ] {
            let rows = read(text).unwrap();
            assert_eq!(rows.len(), 2, "{text}");
            assert_eq!(rows[0].text("name"), Some("a \"b\", c\nd"));
            assert_eq!((rows[0].int("id"), rows[0].flag("on")), (Some(1), Some(true)));
            assert_eq!((rows[1].text("name"), rows[1].flag("on")), (None, Some(false)));
            assert!(rows[1].has("name") && !rows[1].has("other"));
            let place = rows[1].place(&[file("table", text)]).map(|place| place.to_string());
            assert_eq!(place.as_deref(), Some("table, row 2"));
        }
    }

    #[test]
    fn what_mysql_writes_raw_is_read() {
        let rows = read("id\tdata\tlast\n1\t{\"a\": \"b, c\"}\tNULL\n").unwrap();
        let data = rows[0].get("data").and_then(Json::unfolded).unwrap();
        assert_eq!(data.get("a").and_then(Json::text), Some("b, c"));
        assert!(rows[0].get("last").is_none() && rows[0].has("last"));
    }

    #[test]
    fn json_is_read_as_an_array_as_lines_and_as_a_fixture() {
        for text in [
            r#"[{"id": 1, "user_id": "7"}, {"id": 2, "user_id": 8}]"#,
            "{\"id\": 1, \"user_id\": \"7\"}\n{\"id\": \"2\", \"user_id\": 8}\n",
            r#"[{"model": "app.Row", "pk": 1, "fields": {"user_id": "7"}}, {"model": "app.row", "pk": 2, "fields": {"user_id": ["8"]}}]"#,
        ] {
            let rows = read(text).unwrap();
            let ids: Vec<_> = rows.iter().map(|row| row.id(&["user", "user_id"])).collect();
            assert_eq!(ids, [Some("7".to_owned()), Some("8".to_owned())], "{text}");
            assert_eq!(rows[1].int("id"), Some(2));
            assert_eq!(rows[1].model.as_deref(), text.contains("model").then_some("app.row"));
        }
    }

    #[test]
    fn what_is_broken_is_named_by_file_and_line_and_never_by_value() {
        for (text, told) in [
            ("", "table: it is empty"),
            ("a,b\n1,secret,3\n", "table, line 2: it has not as many columns as the header"),
            ("a,b\n1,2\n1\n", "table, line 3: it has not as many columns as the header"),
            ("a,,b\n", "table, line 1: it does not name the columns"),
            ("[{\"a\": \"secret\"}, 7]", "table, row 2: it is no object"),
            ("{\"a\": 1}\n{\"secret\": \n", "table, line 3: it is no JSON"),
            ("[{\"a\": 1}", "table, line 1: it is no JSON"),
        ] {
            assert_eq!(error(text), told, "{text}");
        }
        let long = format!("a\n{}", "x".repeat(MAX_ROW_BYTES + 1));
        assert_eq!(error(&long), "table, line 2: it is too long");
        let wide = "a,".repeat(MAX_COLUMNS + 1);
        assert_eq!(error(&wide), "table, line 1: it is too long");
    }
}

//! What stands behind the `?` of an address, taken apart as strictly as a body: what nobody asked for is an error.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes the part of an address behind the `?` apart.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if found.iter().any(|(known, _)| *known == name) {
                return Err(Problem::field(name.clone(), format!("`{}` is there twice", shown(&name))));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// Takes one.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes one that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Problem> {
        self.take(name).ok_or_else(|| Problem {
            code: Some("missing_field"),
            ..Problem::field(name, format!("`{name}` is missing, and must be given in the address: ?{name}=..."))
        })
    }

    /// Takes a whole number.
    pub(super) fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let wrong = |_| Problem::field(name, format!("`{name}` is `{}`, but must be a whole number", shown(&text)));
        text.parse().map(Some).map_err(wrong)
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("`{}` is not a parameter of this request", shown(name));
                Err(Problem { code: Some("unknown_field"), ..Problem::field(shown(name), message) })
            }
        }
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| Problem::invalid("the address is not UTF-8"))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_as_they_were_meant() {
        let mut query = Query::parse(Some("judge=Ann+M%C3%BCller%2FX&after=12&&empty=")).unwrap();
        assert_eq!(query.required("judge").unwrap(), "Ann Müller/X");
        assert_eq!(query.number::<u64>("after").unwrap(), Some(12));
        assert_eq!(query.number::<u64>("limit").unwrap(), None);
        assert_eq!(query.take("empty").as_deref(), Some(""));
        assert!(query.finish().is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let words = |text: &str| {
            let mut query = Query::parse(Some(text))?;
            query.number::<u64>("after")?;
            query.finish()
        };
        for (text, wanted) in [
            ("after=-1", "`after` is `-1`, but must be a whole number"),
            ("after=99999999999999999999", "must be a whole number"),
            ("after=1&after=2", "`after` is there twice"),
            ("befor=1", "`befor` is not a parameter"),
            ("a=%ff", "not UTF-8"),
        ] {
            let message = words(text).unwrap_err().message;
            assert!(message.contains(wanted), "{message}");
        }
        assert!(words("").is_ok());
    }
}

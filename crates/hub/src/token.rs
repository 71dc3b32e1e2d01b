//! A secret that does not print.

use std::fmt;

/// An access token. `Debug` shows that there is one, never which.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Trims what editors and shells add around it; nothing left is no token.
    ///
    /// # Errors
    /// The reason, when it holds a character that cannot stand in a header.
    pub fn new(text: &str) -> Result<Option<Token>, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a token has only printable ASCII characters, and no spaces");
        }
        Ok(Some(Token(text.to_owned())))
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_the_secret() {
        let token = Token::new("hf_secret\n").unwrap().unwrap();
        assert!(!format!("{token:?}").contains("secret"));
        assert_eq!(token.bearer(), "Bearer hf_secret");
    }

    #[test]
    fn refuses_a_header_smuggled_in() {
        assert!(Token::new("hf_x\r\nHost: evil").is_err());
        assert_eq!(Token::new(" \n"), Ok(None));
    }
}

//! The byte-level alphabet of GPT-2: one printable character for each of the 256 bytes.
//!
//! Bytes that print (`!`..`~`, `¡`..`¬`, `®`..`ÿ`) stand for themselves; the other 68 take U+0100, U+0101, ... in
//! order, so that a space is spelled `Ġ`. Vocabulary files are written in it; text never is.

/// The character of each byte.
pub(crate) const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut byte = 0;
    let mut moved = 0;
    while byte < 256 {
        let prints = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if prints { byte } else { 256 + moved };
        if !prints {
            moved += 1;
        }
        chars[byte as usize] = match char::from_u32(code) {
            Some(c) => c,
            None => panic!("every code below U+0144 is a character"),
        };
        byte += 1;
    }
    chars
};

const NONE: u16 = u16::MAX;
const PAST_LAST: usize = 256 + 68;

const BYTES: [u16; PAST_LAST] = {
    let mut bytes = [NONE; PAST_LAST];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = byte as u16;
        byte += 1;
    }
    bytes
};

/// The byte that `c` stands for, if it is in the alphabet.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    BYTES.get(c as usize).and_then(|&byte| u8::try_from(byte).ok())
}

/// The bytes that `token` spells, if it is written in the alphabet throughout.
pub(crate) fn bytes_of(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// `bytes` written in the alphabet.
pub(crate) fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| CHARS[byte as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_bijection_on_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes_of(&spell(&all)), Some(all));
    }

    #[test]
    fn spells_the_space_as_the_files_do() {
        assert_eq!(spell(b" a\n\x00\xad"), "ĠaĊĀŃ");
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('漢'), None);
    }
}

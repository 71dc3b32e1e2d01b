//! Values of single flags: each parser says what would have been right.

use std::str::FromStr;

use gptneo_device::{CacheType, DType};

/// Types that a device computes with directly, which is what `--quant` and `--type` take.
pub(crate) const COMPUTED: [DType; 7] =
    [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q6_K, DType::Q4_K, DType::Q4_0];

/// Token ids, as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenIds(pub(crate) Vec<u32>);

impl FromStr for TokenIds {
    type Err = String;

    /// `1,2,3`, also with spaces or in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let inner = text.trim();
        let inner = inner.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(inner);
        inner
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().map_err(|_| format!("`{}` is not a token id (0 to {})", shorten(word), u32::MAX)))
            .collect::<Result<Vec<u32>, String>>()
            .map(TokenIds)
    }
}

/// A token and what is added to its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogitBias {
    /// The token.
    pub(crate) id: u32,
    /// What is added; minus infinity forbids the token.
    pub(crate) bias: f32,
}

impl FromStr for LogitBias {
    type Err = String;

    /// `ID+BIAS`, `ID-BIAS`, or `ID=BIAS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "wanted ID+BIAS or ID-BIAS, such as 50256-100 or 11+2.5 (ID-inf forbids the token)".to_owned();
        let cut = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wanted)?;
        let (id, rest) = text.split_at(cut);
        let id = id.parse().map_err(|_| wanted())?;
        let bias: f32 = rest.strip_prefix(['=', ':']).unwrap_or(rest).parse().map_err(|_| wanted())?;
        if bias.is_nan() || bias == f32::INFINITY {
            return Err("the bias must be a finite number, or -inf".to_owned());
        }
        Ok(Self { id, bias })
    }
}

/// `-n`: a number of tokens, or -1 for "until the model stops".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// At most so many.
    Tokens(usize),
    /// Until the end-of-text token or the end of the context.
    Unlimited,
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(-1) => Ok(Length::Unlimited),
            Ok(n) if (0..=i64::from(u32::MAX)).contains(&n) => Ok(Length::Tokens(n as usize)),
            _ => Err("must be a whole number of tokens from 0, or -1 for no limit".to_owned()),
        }
    }
}

/// A storage type that a device computes with.
pub(crate) fn computed_type(text: &str) -> Result<DType, String> {
    let choices = || COMPUTED.map(DType::name).join(", ");
    match text.parse::<DType>() {
        Ok(dtype) if COMPUTED.contains(&dtype) => Ok(dtype),
        Ok(dtype) => Err(format!("{dtype} can be read but not made; choose one of {}", choices())),
        Err(_) => Err(format!("choose one of {}", choices())),
    }
}

/// Type of cached keys or values.
pub(crate) fn cache_type(text: &str) -> Result<CacheType, String> {
    match text.to_ascii_lowercase().as_str() {
        "f32" => Ok(CacheType::F32),
        "f16" => Ok(CacheType::F16),
        "q8_0" => Ok(CacheType::Q8_0),
        _ => Err("choose one of f32, f16, q8_0".to_owned()),
    }
}

fn number(text: &str, wanted: &str, fits: impl Fn(f32) -> bool) -> Result<f32, String> {
    text.parse::<f32>().ok().filter(|x| x.is_finite() && fits(*x)).ok_or_else(|| wanted.to_owned())
}

/// From 0 (greedy).
pub(crate) fn temperature(text: &str) -> Result<f32, String> {
    number(text, "must be a number from 0 (always the likeliest token) to 1000", |x| (0.0..=1000.0).contains(&x))
}

/// Above 0, at most 1.
pub(crate) fn share_above_zero(text: &str) -> Result<f32, String> {
    number(text, "must be a number above 0 and at most 1 (1: off)", |x| x > 0.0 && x <= 1.0)
}

/// From 0 to 1.
pub(crate) fn share(text: &str) -> Result<f32, String> {
    number(text, "must be a number from 0 (off) to 1", |x| (0.0..=1.0).contains(&x))
}

/// Above 0.
pub(crate) fn repeat_penalty(text: &str) -> Result<f32, String> {
    number(text, "must be a number above 0 and at most 100 (1: off)", |x| x > 0.0 && x <= 100.0)
}

/// Any finite number of sensible size.
pub(crate) fn penalty(text: &str) -> Result<f32, String> {
    number(text, "must be a number from -100 to 100 (0: off)", |x| x.abs() <= 100.0)
}

/// Any finite number of sensible size.
pub(crate) fn strength(text: &str) -> Result<f32, String> {
    number(text, "must be a number from -100 to 100 (1: as the adapter was trained)", |x| x.abs() <= 100.0)
}

fn whole(text: &str, low: u64, high: u64, what: &str) -> Result<usize, String> {
    text.parse::<u64>()
        .ok()
        .filter(|n| (low..=high).contains(n))
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| format!("must be a whole number of {what} from {low} to {high}"))
}

/// 0 is off.
pub(crate) fn top_k(text: &str) -> Result<usize, String> {
    whole(text, 0, u32::MAX.into(), "tokens (0: all)")
}

/// How many earlier tokens penalties look at; -1 is all of them (`None`).
pub(crate) fn last_n(text: &str) -> Result<LastN, String> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(LastN(None)),
        Ok(n) if (0..=i64::from(u32::MAX)).contains(&n) => Ok(LastN(Some(n as usize))),
        _ => Err("must be a whole number of tokens from 0 (off), or -1 for all of them".to_owned()),
    }
}

/// See [`last_n`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastN(pub(crate) Option<usize>);

/// Threads.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    whole(text, 1, 1024, "threads")
}

/// Positions of context.
pub(crate) fn context(text: &str) -> Result<usize, String> {
    whole(text, 1, u32::MAX.into(), "tokens")
}

/// Tokens, at least one.
pub(crate) fn some_tokens(text: &str) -> Result<usize, String> {
    whole(text, 1, u32::MAX.into(), "tokens")
}

/// Tokens, at least one; `k`, `M` and `G` are powers of a thousand.
pub(crate) fn many_tokens(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
        Some(digits) if text.ends_with(['k', 'K']) => (digits, 1_000),
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000_000_000),
        None => (text, 1),
    };
    let tokens = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|&tokens| tokens > 0);
    tokens.ok_or_else(|| "must be a whole number of tokens, at least 1, such as 500000, 100M or 1G".to_owned())
}

/// A fraction, or a percentage, as parts in a million.
pub(crate) fn fraction_ppm(text: &str) -> Result<u32, String> {
    let wanted = || "must be from 0 to 1, or 0% to 100%, in steps of a millionth".to_owned();
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 1e4),
        None => (text, 1e6),
    };
    let ppm = number.trim().parse::<f64>().map_err(|_| wanted())? * scale;
    // What is typed in decimals is not exact in binary.
    let exact = (ppm - ppm.round()).abs() < 1e-6;
    if exact && (0.0..=1e6).contains(&ppm) { Ok(ppm.round() as u32) } else { Err(wanted()) }
}

/// The size of a vocabulary that can be learned.
pub(crate) fn vocab_size(text: &str) -> Result<u32, String> {
    let size = whole(text, 257, 1 << 22, "tokens (256 bytes, end-of-text, and merges)")?;
    u32::try_from(size).map_err(|error| error.to_string())
}

/// Tokens, perhaps none.
pub(crate) fn tokens(text: &str) -> Result<usize, String> {
    whole(text, 0, u32::MAX.into(), "tokens")
}

/// Beams.
pub(crate) fn beams(text: &str) -> Result<usize, String> {
    whole(text, 1, 64, "beams")
}

/// Continuations of one prompt.
pub(crate) fn samples(text: &str) -> Result<usize, String> {
    whole(text, 1, 1024, "samples")
}

/// Alternatives shown at each position.
pub(crate) fn alternatives(text: &str) -> Result<usize, String> {
    whole(text, 0, 100, "alternatives")
}

/// Entries of the distribution after each position.
pub(crate) fn top(text: &str) -> Result<usize, String> {
    whole(text, 1, u32::MAX.into(), "entries")
}

/// Sequences decoded at once.
pub(crate) fn sequences(text: &str) -> Result<usize, String> {
    whole(text, 1, 4096, "sequences")
}

/// Requests.
pub(crate) fn many_requests(text: &str) -> Result<usize, String> {
    whole(text, 1, 10_000_000, "requests")
}

/// A positive number.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().unwrap_or(f64::NAN);
    match (1e-6..=1e6).contains(&rate) {
        true => Ok(rate),
        false => Err("must be a number more than 0, at most a million".to_owned()),
    }
}

/// Milliseconds to the first token, and a token after it.
pub(crate) fn promise(text: &str) -> Result<(f64, f64), String> {
    let pair = text.split_once(',').and_then(|(first, each)| Some((rate(first).ok()?, rate(each).ok()?)));
    pair.ok_or_else(|| "must be two numbers of milliseconds, such as 500,50".to_owned())
}

/// Requests that wait.
pub(crate) fn queue(text: &str) -> Result<usize, String> {
    whole(text, 0, 1_000_000, "requests")
}

/// Bytes; `kB`, `MB` and `GB` are powers of a thousand, `KiB`, `MiB` and `GiB` of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|&(name, scale)| Some((text.strip_suffix(name)?, scale)));
    let (number, scale) = unit.unwrap_or((text, 1));
    let number: f64 = number.trim().parse().unwrap_or(f64::NAN);
    let bytes = (number * scale as f64).round();
    match (1.0..=9e15).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err("must be a size, such as 500MB, 6GB or 2GiB".to_owned()),
    }
}

/// Examples before a document.
pub(crate) fn examples(text: &str) -> Result<usize, String> {
    whole(text, 0, 1000, "examples")
}

/// Resamples of a bootstrap.
pub(crate) fn resamples(text: &str) -> Result<usize, String> {
    whole(text, 0, 10_000_000, "resamples")
}

/// Sequences drawn from token shards.
pub(crate) fn drawn(text: &str) -> Result<usize, String> {
    whole(text, 1, 1_000_000, "sequences")
}

/// Resamples of a comparison, which are drawn in thousands.
pub(crate) fn compared(text: &str) -> Result<usize, String> {
    let count = whole(text, 100, 1_000_000, "resamples")?;
    if count <= 1000 || count.is_multiple_of(1000) {
        Ok(count)
    } else {
        Err("above 1000 they are drawn in thousands: a multiple of 1000 is wanted".to_owned())
    }
}

/// A seed.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("must be a whole number from 0 to {}", u64::MAX))
}

/// A stop string: `\n`, `\t`, `\r` and `\\` mean what they mean in C.
pub(crate) fn stop(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty stop string would stop before the first token".to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next @ ('n' | 't' | 'r' | '\\'))) => {
                out.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// The device the model runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The best there is.
    Auto,
    /// The CPU.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            name if name == "cuda" || name == "gpu" || name.starts_with("cuda:") => {
                Err("this build runs on the CPU only; choose cpu or auto".to_owned())
            }
            _ => Err("choose cpu or auto".to_owned()),
        }
    }
}

/// The beginning of a word, so that a message stays readable.
pub(crate) fn shorten(word: &str) -> String {
    const LONGEST: usize = 40;
    match word.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", &word[..cut]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_token_ids_in_every_usual_spelling() {
        for text in ["1,2,3", "1, 2, 3", "[1, 2, 3]", "1 2 3\n"] {
            assert_eq!(text.parse(), Ok(TokenIds(vec![1, 2, 3])));
        }
        assert_eq!("".parse(), Ok(TokenIds(vec![])));
        for text in ["1,x", "-1", "4294967296", "1.5", "[1"] {
            assert!(text.parse::<TokenIds>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_a_logit_bias() {
        assert_eq!("11+2.5".parse(), Ok(LogitBias { id: 11, bias: 2.5 }));
        assert_eq!("11-100".parse(), Ok(LogitBias { id: 11, bias: -100.0 }));
        assert_eq!("11=3".parse(), Ok(LogitBias { id: 11, bias: 3.0 }));
        assert_eq!("11-inf".parse(), Ok(LogitBias { id: 11, bias: f32::NEG_INFINITY }));
        for text in ["11", "x+1", "11+", "11+nan", "11+inf", "", "+1", "99999999999+1"] {
            assert!(text.parse::<LogitBias>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_fractions_and_large_numbers() {
        for (text, ppm) in
            [("0", 0), ("1", 1_000_000), ("0.01", 10_000), ("0.5%", 5000), ("1e-6", 1), ("0.123456", 123_456)]
        {
            assert_eq!(fraction_ppm(text), Ok(ppm), "{text}");
        }
        for text in ["", "2", "-0.1", "101%", "1e-7", "nan", "half", "%"] {
            assert!(fraction_ppm(text).is_err(), "{text}");
        }
        for (text, tokens) in [("1", 1), ("20k", 20_000), ("100M", 100_000_000), ("2G", 2_000_000_000)] {
            assert_eq!(many_tokens(text), Ok(tokens), "{text}");
        }
        for text in ["", "0", "0k", "M", "-1", "1.5M", "99999999999G"] {
            assert!(many_tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_escapes_of_stop_strings() {
        assert_eq!(stop(r"a\nb\\n\q"), Ok("a\nb\\n\\q".to_owned()));
        assert!(stop("").is_err());
    }

    #[test]
    fn refuses_numbers_that_are_none() {
        for text in ["nan", "inf", "-1", "1e40", "", "x"] {
            assert!(temperature(text).is_err(), "{text}");
        }
        assert!(share_above_zero("0").is_err() && share_above_zero("1.01").is_err());
        assert!(share("-0.1").is_err() && share("0").is_ok());
    }
}

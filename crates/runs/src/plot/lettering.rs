//! Letters for drawings made of pixels.
//!
//! The drawing library asks the system for fonts, which a server may not have. [`Lettering`] stands before its bitmap
//! backend and puts the letters of a small bitmap font in their place; everything else it hands on. A letter outside ASCII is
//! shown as a question mark.

use plotters::prelude::BitMapBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use spleen_font::{FONT_8X16, FONT_12X24};

/// Height of ordinary letters, in pixels.
pub(super) const SMALL: u32 = 16;
/// Height of the letters of a title.
pub(super) const LARGE: u32 = 24;

/// The letters of a font, as they lie in a file: one after the other by their codes, each by rows from the top, each row
/// in whole bytes with the leftmost pixel in the highest bit.
struct Font {
    file: &'static [u8],
    /// Bytes before the first letter.
    header: usize,
    width: usize,
    height: usize,
}

/// A font file of version 1, whose header is short.
static SMALL_FONT: Font = Font { file: FONT_8X16, header: 4, width: 8, height: SMALL as usize };
/// A font file of version 2.
static LARGE_FONT: Font = Font { file: FONT_12X24, header: 32, width: 12, height: LARGE as usize };

impl Font {
    /// The font for text of this size.
    fn of(size: f64) -> &'static Font {
        if size > f64::from(SMALL + LARGE) / 2.0 { &LARGE_FONT } else { &SMALL_FONT }
    }

    /// The pixels of a letter that are set: column and row.
    fn pixels(&self, letter: char) -> impl Iterator<Item = (usize, usize)> {
        let code = if letter.is_ascii() && !letter.is_ascii_control() { letter as usize } else { '?' as usize };
        let row_bytes = self.width.div_ceil(8);
        let start = self.header + code * row_bytes * self.height;
        let rows = self.file[start..start + row_bytes * self.height].chunks(row_bytes).enumerate();
        rows.flat_map(move |(y, row)| {
            let set = move |x: &usize| row[x / 8] & (0x80 >> (x % 8)) != 0;
            (0..self.width).filter(set).map(move |x| (x, y))
        })
    }

    /// Width and height of a text, in pixels.
    fn extent(&self, text: &str) -> (u32, u32) {
        ((text.chars().count() * self.width) as u32, self.height as u32)
    }
}

/// A bitmap that can write.
pub(super) struct Lettering<'a> {
    bitmap: BitMapBackend<'a>,
}

impl<'a> Lettering<'a> {
    pub(super) fn new(bitmap: BitMapBackend<'a>) -> Lettering<'a> {
        Lettering { bitmap }
    }
}

impl<'a> DrawingBackend for Lettering<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.bitmap.get_size()
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.bitmap.ensure_prepared()
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.bitmap.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, colour: BackendColor) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.bitmap.draw_pixel(at, colour)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.bitmap.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.bitmap.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        Ok(Font::of(style.size()).extent(text))
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        let font = Font::of(style.size());
        let (width, height) = font.extent(text);
        let (width, height) = (width as i32, height as i32);
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let (columns, rows) = self.bitmap.get_size();
        for (index, letter) in text.chars().enumerate() {
            for (x, y) in font.pixels(letter) {
                let (dx, dy) = style.transform().transform(left + (index * font.width + x) as i32, top + y as i32);
                let (x, y) = (at.0 + dx, at.1 + dy);
                if (0..columns as i32).contains(&x) && (0..rows as i32).contains(&y) {
                    self.bitmap.draw_pixel((x, y), style.color())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_look_like_themselves() {
        let drawn = |font: &Font, letter| {
            let mut rows = vec![vec!['.'; font.width]; font.height];
            font.pixels(letter).for_each(|(x, y)| rows[y][x] = '#');
            let rows: Vec<String> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
            rows.into_iter().filter(|row| row.contains('#')).collect::<Vec<_>>()
        };
        let bars = drawn(&SMALL_FONT, 'L');
        assert!(bars.len() >= 9, "{bars:#?}");
        assert!(bars[..bars.len() - 1].iter().all(|row| row.starts_with(".##") || row.starts_with("##")), "{bars:#?}");
        assert!(bars[bars.len() - 1].matches('#').count() >= 6, "{bars:#?}");
        assert!(drawn(&LARGE_FONT, 'L').len() >= 14);
        assert_eq!(drawn(&SMALL_FONT, 'é'), drawn(&SMALL_FONT, '?'));
        assert!(drawn(&SMALL_FONT, ' ').is_empty());
    }

    #[test]
    fn every_letter_is_in_the_file() {
        for letter in (0..=255u8).map(char::from) {
            assert!(SMALL_FONT.pixels(letter).count() <= 8 * 16);
            assert!(LARGE_FONT.pixels(letter).count() <= 12 * 24);
        }
    }
}

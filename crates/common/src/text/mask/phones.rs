//! Finds phone numbers: reads runs of digit groups and asks of each stretch whether it is one.
//!
//! A `+`, a leading `00`, a trunk `0`, an area code in parentheses, a word like `tel` before it or a
//! national grouping makes digits a number; bare digits and pairs of equal groups (`3000-5000`) never
//! do. Whether a stretch counts depends on nothing that masking its neighbours would change.
//! <https://www.itu.int/rec/T-REC-E.164>

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::stretch::Stretch;

/// Digit groups with little between them.
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    super::compile(r"[(+]{0,3}[0-9]+(?:[ \t\x{a0}\x{2009}\x{202f}()+./‐‑‒–-]{1,4}[0-9]+)*")
});

/// Digits without a break.
static GROUP: LazyLock<Regex> = LazyLock::new(|| super::compile("[0-9]+"));

/// The most groups that one number is written in.
const MAX_GROUPS: usize = 8;

/// Bytes looked at before and after a stretch; longer than any keyword.
const CONTEXT: usize = 96;

/// Finds the phone numbers of a text, in order.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in RUN.find_iter(text) {
        let groups: Vec<_> = GROUP
            .find_iter(run.as_str())
            .map(|group| run.start() + group.start()..run.start() + group.end())
            .collect();
        let mut first = 0;
        while first < groups.len() {
            let reach = groups.len().min(first + MAX_GROUPS);
            let last = (first..reach).rev().find(|last| is_number(text, &groups, first, *last));
            found.extend(last.map(|last| start(text, &groups, first, last)..groups[last].end));
            first = last.unwrap_or(first) + 1;
        }
    }
    found
}

/// Tells whether the groups from first to last, no more and no less, are a phone number.
fn is_number(text: &str, groups: &[Range<usize>], first: usize, last: usize) -> bool {
    let digits: usize = groups[first..=last].iter().map(Range::len).sum();
    if !(7..=17).contains(&digits) {
        return false;
    }
    let gap = |at: usize| &text[groups[at].end..groups[at + 1].start];
    let parted_before = first == 0 || parts(gap(first - 1));
    let parted_after = last + 1 == groups.len() || parts(gap(last));
    if !parted_before || !parted_after || !(first..last).all(|at| joins(gap(at))) {
        return false;
    }
    let start = start(text, groups, first, last);
    let before = &text[text.floor_char_boundary(start.saturating_sub(CONTEXT))..start];
    let after = &text[groups[last].end..];
    let after = &after[..after.floor_char_boundary(CONTEXT)];
    let stretch = Stretch {
        groups: groups[first..=last].iter().map(|group| &text[group.clone()]).collect(),
        marks: (first..last).map(|at| mark(gap(at))).collect(),
        lead: &text[start..groups[first].start],
        heads_run: first == 0,
        digits,
    };
    stretch.is_number(before, after)
}

/// Where a number starts: at its plus sign or at the parenthesis around its first group.
fn start(text: &str, groups: &[Range<usize>], first: usize, last: usize) -> usize {
    let digits = groups[first].start;
    let lead = text[..digits].trim_end_matches(['(', '+']).len().max(digits.saturating_sub(3));
    let lead = &text[lead..digits];
    let closed = first < last && text[groups[first].end..].starts_with(')');
    let wanted = match lead {
        _ if closed && (lead.ends_with("(+") || lead.ends_with("+(")) => 2,
        _ if lead.ends_with('+') || (closed && lead.ends_with('(')) => 1,
        _ => 0,
    };
    digits - wanted
}

/// Tells whether what is between two groups may part two numbers.
fn parts(gap: &str) -> bool {
    gap.contains(|c: char| c.is_whitespace() || c == '/' || c == '+')
}

/// Tells whether what is between two groups may lie inside one number.
fn joins(gap: &str) -> bool {
    let plain = gap.trim_matches(['(', ')']);
    let core = plain.trim();
    match core.chars().count() {
        0 => plain.chars().count() <= 2,
        1 if core == plain => core != "+",
        1 => core != "." && core != "+" && !plain.starts_with(core) && !plain.ends_with(core),
        _ => false,
    }
}

/// The character that stands between two groups, a space if there is none.
fn mark(gap: &str) -> char {
    let dash = |c| if matches!(c, '‐'..='–') { '-' } else { c };
    gap.chars().find(|c| !c.is_whitespace() && !"()".contains(*c)).map_or(' ', dash)
}

#[cfg(test)]
mod tests {
    use super::super::mask;

    #[test]
    fn phones_are_masked() {
        let cases = [
            ("+44 20 7946 0102", "[phone]"),
            ("+44 (0)20 7946 0102.", "[phone]."),
            ("(+49) 30 1234567", "[phone]"),
            ("(+442079460102)", "([phone])"),
            ("+1-555-123-4567", "[phone]"),
            ("+1 (555) 123-4567", "[phone]"),
            ("0044 20 7946 0102", "[phone]"),
            ("00442079460102", "[phone]"),
            ("(555) 123-4567", "[phone]"),
            ("(555)123-4567 x89", "[phone] x89"),
            ("1 555.123.4567", "[phone]"),
            ("call 555-123-4567, 9-5", "call [phone], 9-5"),
            ("020 7946 0102", "[phone]"),
            ("01 23 45 67 89", "[phone]"),
            ("089/1234567 or 0171 - 1234567", "[phone] or [phone]"),
            ("138 1234 5678", "[phone]"),
            ("8 800 555 35 35", "[phone]"),
            ("(11) 4567-8901", "[phone]"),
            ("91 123 45 67", "[phone]"),
            ("612\u{a0}345\u{a0}678", "[phone]"),
            ("555‑123‑4567", "[phone]"),
            ("Tel.: 5551234567", "Tel.: [phone]"),
            ("电话：13812345678拨打", "电话：[phone]拨打"),
            ("0800 500 200, 800-500-1000", "[phone], [phone]"),
            ("WhatsApp+44 20 7946 0102", "WhatsApp[phone]"),
            ("☎ 9876 5432", "☎ [phone]"),
            ("phone number 98765 43210", "phone number [phone]"),
            ("555-123-4567 / 555-123-4568", "[phone] / [phone]"),
            ("2024 (555) 123-4567 20", "2024 [phone] 20"),
            ("joe@x.com 555-123-4567", "[email] [phone]"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        let cases = [
            "1990-2020",
            "1990 – 2020",
            "2019 2020 2021",
            "tel 1990-2020",
            "2024-05-06",
            "06/05/2024",
            "06.05.2024 10",
            "2024-05-06T10:30:00Z",
            "2024-05-06 10:30:00",
            "10:30 06-05-2024",
            "$1,234,567.89",
            "1 234 567,89 €",
            "€ 612 345 678",
            "612 345 678 EUR",
            "3000-5000",
            "10 000 000",
            "+10 000 000",
            "1920x1080",
            "1920 x 1080 px",
            "3840 2160",
            "10.0.19041",
            "10.0.19041.1234",
            "v1.2.3-456.789",
            "978-3-16-148410-0",
            "9783161484100",
            "978 3 16 148410 0",
            "0-306-40615-2",
            "ISSN 0317-8471",
            "192.168.1.1",
            "192.168.100.101",
            "10.123.45.67",
            "12345678901",
            "IMG_20240506_123456",
            "SKU-555-123-4567",
            "40.7128, -74.0060",
            "40.712800 -74.006000",
            "+40.712800",
            "+40.7128 -74.0060",
            "51.5074 0.1278",
            "1 2 3 4 5 6 7 8 9 10",
            "24 36 48 60",
            "100 200 300 400",
            "100-150-200",
            "100/150/200",
            "iPhone 12345678",
            "(2019) 123-1345",
            "[phone] 12345678",
            "612.345.678",
            "4111 1111 1111 1111",
        ];
        for text in cases {
            assert_eq!(mask(text), text);
        }
    }
}

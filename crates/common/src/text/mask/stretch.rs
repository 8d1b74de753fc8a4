//! Tells phone numbers from other numbers: dates, prices, sizes, ISBNs, IP addresses, ids.
//!
//! The rules look at the lengths of the groups, at what parts them and at the text around; none
//! looks a number up in a numbering plan. <https://www.itu.int/rec/T-REC-E.164>

use std::sync::LazyLock;

use regex::Regex;

use super::compile;

/// Text that says a phone number comes; `[phone]` itself does not.
static KEYWORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?xi)
        (?: (?: ^ | [^\[\w] )
            (?: phone | (?:tele)?fax | tele(?:ph|f)one? | teléfono | téléphone | tel[ée]?f? | ph | mobile?
              | mob | cell | call | whatsapp | hotline | handy | gsm | viber | тел | телефон )
            (?: \s(?:number|no|nr|us|us\sat|us\son|at|on) )?
          | 电话 | 電話 | 手机 | 전화 | [☎✆📞📱] )
        \W{0,4}$",
    )
});

/// Text before a stretch that makes it an id, a time or a price.
static SPOILT_BEFORE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:[A-Za-z_]-?|[%@#]|[0-9]:|\p{Sc}\s?)$"));

/// Text after a stretch that makes it an id, a time, a price or a measure; `x` starts an extension.
static SPOILT_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(?:[A-WYZa-wyz_%@°]|-[A-Za-z]|:[0-9(+]|(?:,[0-9]{1,2})?\s?(?:\p{Sc}|(?:EUR|USD|GBP|CHF|kr|zł|руб|px|mm|cm|m|km|kg|g|ml|mAh)(?-u:\b)))",
    )
});

/// Lengths of the groups of national numbers that need no other sign.
const SHAPES: [&[usize]; 11] = [
    &[3, 3, 4],
    &[1, 3, 3, 4],
    &[3, 3, 3],
    &[3, 4, 4],
    &[4, 3, 3],
    &[2, 4, 4],
    &[2, 5, 4],
    &[3, 2, 2, 2],
    &[2, 3, 2, 2],
    &[1, 3, 3, 2, 2],
    &[1, 3, 3, 3],
];

/// Some digit groups and what is between them.
pub struct Stretch<'a> {
    /// The digits of each group.
    pub groups: Vec<&'a str>,
    /// The character between each group and the next.
    pub marks: Vec<char>,
    /// The plus sign or parenthesis before the first group.
    pub lead: &'a str,
    /// Whether no other digits are close before it, so that a keyword may be.
    pub heads_run: bool,
    /// How many digits there are.
    pub digits: usize,
}

impl Stretch<'_> {
    /// Tells whether anything makes this a phone number and nothing makes it something else, given
    /// the text around it.
    pub fn is_number(&self, before: &str, after: &str) -> bool {
        if self.is_decimal() || self.is_date() || self.is_other() {
            return false;
        }
        let likely = self.is_international() || self.has_area() || self.is_national();
        let named = self.heads_run && self.digits <= 15 && KEYWORD.is_match(before);
        let wanted = named || (likely && !self.is_round() && !SPOILT_BEFORE.is_match(before));
        wanted && !SPOILT_AFTER.is_match(after)
    }

    /// A country code after `+` or `00`.
    fn is_international(&self) -> bool {
        let first = self.groups[0];
        if self.lead.contains('+') {
            return (8..=15).contains(&self.digits) && !first.starts_with('0');
        }
        let least = if self.groups.len() > 1 { 10 } else { 12 };
        first.starts_with("00") && !first.starts_with("000") && self.digits >= least
    }

    /// An area code in parentheses, or a `0` in them.
    fn has_area(&self) -> bool {
        let first = self.groups[0];
        let fits = match first.len() {
            1 => first == "0" && self.digits >= 9,
            2..=5 => !is_year(first),
            _ => false,
        };
        let most = if first.starts_with('0') { 12 } else { 11 };
        self.lead.starts_with('(') && fits && (8..=most).contains(&self.digits)
    }

    /// A trunk `0` or one of the usual groupings.
    fn is_national(&self) -> bool {
        let lengths: Vec<_> = self.groups.iter().map(|group| group.len()).collect();
        let first = self.groups[0];
        if first.starts_with('0') && (2..=5).contains(&lengths[0]) {
            return (2..=5).contains(&lengths.len())
                && lengths.iter().all(|length| *length >= 2)
                && (9..=12).contains(&self.digits)
                && !self.marks[1..].contains(&'/')
                && !(lengths[0] == 2 && is_year(self.groups[1]));
        }
        let sum = lengths == [1, 3, 3, 3] && first != "0";
        let dotted = lengths == [3, 3, 3] && self.marks.contains(&'.');
        SHAPES.contains(&lengths.as_slice())
            && !sum
            && !dotted
            && !is_year(first)
            && !self.marks.contains(&'/')
    }

    /// A number with a decimal point, such as a coordinate.
    fn is_decimal(&self) -> bool {
        let whole = self.groups[0];
        let trunk = whole.starts_with('0') && whole.len() > 1;
        self.marks.first() == Some(&'.') && whole.len() <= 3 && self.groups[1].len() >= 4 && !trunk
    }

    /// A date somewhere in it, or two years.
    fn is_date(&self) -> bool {
        let short = |group: &str| group.len() <= 2;
        let dated = self.groups.windows(3).zip(self.marks.windows(2)).any(|(group, mark)| {
            let written = mark[0] == mark[1] && mark[0] != ' ';
            let ordered =
                (short(group[0]) && is_year(group[2])) || (is_year(group[0]) && short(group[2]));
            written && ordered && short(group[1])
        });
        dated || self.groups.windows(2).any(|pair| is_year(pair[0]) && is_year(pair[1]))
    }

    /// A large round number or a list of sizes: `10 000 000`, `100-150-200`.
    fn is_round(&self) -> bool {
        let zeros = self.groups.iter().all(|group| group.ends_with('0'));
        let plain = !self.groups[0].starts_with('0') && !self.lead.starts_with('(');
        zeros && plain && (self.digits < 10 || self.marks.iter().all(|mark| *mark == ' '))
    }

    /// An IP address or an ISBN.
    fn is_other(&self) -> bool {
        let byte = |group: &&str| group.parse::<u8>().is_ok();
        let ip = self.marks == ['.'; 3] && self.groups.iter().all(byte);
        let isbn =
            self.digits == 13 && ["978", "979"].iter().any(|book| self.groups[0].starts_with(book));
        self.lead.is_empty() && (ip || isbn)
    }
}

/// Tells whether four digits read as a year.
fn is_year(group: &str) -> bool {
    group.len() == 4 && ("1800".."2100").contains(&group)
}

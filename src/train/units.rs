//! Numbers as people read them in progress lines and estimates: `1,200`, `61.2 GB`, `9 h 12 min`.
//!
//! Prefixes are the decimal ones of the SI brochure: 1 GB is 10⁹ bytes.
//! <https://www.bipm.org/en/measurement-units/si-prefixes>

use std::time::Duration;

use indicatif::HumanCount;

/// Writes a count with commas between thousands.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Writes a rate, with one decimal where it is below ten: a CPU makes three triplets a second.
pub fn rate(number: f64) -> String {
    if number < 9.95 { format!("{number:.1}") } else { count(number.round() as u64) }
}

/// Writes bytes in GB with one decimal, or in MB below a tenth of one.
pub fn bytes(number: u64) -> String {
    let number = number as f64;
    if number < 1e8 { format!("{:.1} MB", number / 1e6) } else { format!("{:.1} GB", number / 1e9) }
}

/// Writes a share, 0 to 1, in percent; with one decimal where that still says something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Writes a duration in its two largest units, or in seconds below a minute.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_rates_have_commas() {
        assert_eq!(
            [count(0), count(999), count(1_200), count(36_700_000)],
            ["0", "999", "1,200", "36,700,000"]
        );
        assert_eq!(
            [rate(0.0), rate(3.12), rate(9.96), rate(1432.4)],
            ["0.0", "3.1", "10", "1,432"]
        );
    }

    #[test]
    fn bytes_and_shares_keep_what_matters() {
        assert_eq!(
            [bytes(0), bytes(2_500_000), bytes(61_234_000_000)],
            ["0.0 MB", "2.5 MB", "61.2 GB"]
        );
        assert_eq!([percent(0.0), percent(0.004), percent(0.38)], ["0.0 %", "0.4 %", "38 %"]);
    }

    #[test]
    fn durations_have_two_units() {
        let written = |seconds: f64| duration(Duration::from_secs_f64(seconds));
        assert_eq!([written(0.4), written(59.4), written(59.6)], ["0 s", "59 s", "1 min 0 s"]);
        assert_eq!(written(3599.0), "59 min 59 s");
        assert_eq!(written(33_120.0), "9 h 12 min");
        assert_eq!(written(90_000.0), "1 d 1 h");
    }
}

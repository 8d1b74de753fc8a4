//! The slice of a run that a process works on, set by hand or by the scheduler that starts it.

use magiclens_core::Slice;

use super::env;

/// Reads `--slice`: `i/n`, or `n` alone, where the index is the one that a Kubernetes Indexed Job or a Slurm
/// array gives its tasks. `variable` reads the environment.
pub fn slice(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Slice, String> {
    if text.contains('/') {
        return text.parse();
    }
    let of = text.trim().parse::<u32>().ok().filter(|of| *of > 0);
    let of =
        of.ok_or("give it as i/n, such as 0/100, or as n where a job array gives the index")?;
    let number = |name: &str| {
        let value = variable(name)?;
        Some(value.trim().parse::<u32>().map_err(|_| format!("{name} is {value:?}, no number")))
    };
    let index = if let Some(index) = number(env::KUBERNETES_INDEX) {
        index?
    } else if let Some(task) = number(env::SLURM_TASK) {
        // `--array=1-8` begins at 1, and so may any other array.
        let first = number(env::SLURM_FIRST_TASK).unwrap_or(Ok(0))?;
        task?.saturating_sub(first)
    } else {
        let names = format!("{} nor {}", env::KUBERNETES_INDEX, env::SLURM_TASK);
        return Err(format!("neither {names} is set: give the index too, as i/{of}"));
    };
    format!("{index}/{of}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        slice(text, variable).map(|slice| slice.to_string())
    }

    #[test]
    fn the_index_is_given_or_the_job_arrays() {
        assert_eq!(of("1/4", &[("JOB_COMPLETION_INDEX", "3")]), Ok("1/4".into()));
        assert_eq!(of("4", &[("JOB_COMPLETION_INDEX", "3")]), Ok("3/4".into()));
        assert_eq!(of("4", &[("SLURM_ARRAY_TASK_ID", "2")]), Ok("2/4".into()));
        let from_1 = [("SLURM_ARRAY_TASK_ID", "4"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert_eq!(of("4", &from_1), Ok("3/4".into()));
    }

    #[test]
    fn what_gives_no_slice_is_refused() {
        for (text, variables, said) in [
            ("4", &[][..], "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID"),
            ("0", &[], "i/n"),
            ("four", &[], "i/n"),
            ("4/4", &[], "0 to 3"),
            ("4", &[("JOB_COMPLETION_INDEX", "4")], "0 to 3"),
            ("4", &[("JOB_COMPLETION_INDEX", "x")], "no number"),
        ] {
            let error = of(text, variables).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}

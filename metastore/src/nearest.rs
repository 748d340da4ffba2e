//! "Did you mean …?": the known word nearest to a mistyped one.

/// A word further away than a quarter of its length is no help.
const TOLERANCE: usize = 4;

/// The nearest of `known`, when one is near enough to have been meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (distance(typed, word), word))
        .filter(|(distance, word)| distance * TOLERANCE <= word.len().max(typed.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Insertions, deletions and replacements between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["data-dir", "name", "wal-dir"];
        assert_eq!(nearest("data-dri", known), Some("data-dir"));
        assert_eq!(nearest("naem", known), None);
        assert_eq!(nearest("names", known), Some("name"));
        assert_eq!(nearest("experimental-memory-mlock", known), None);
    }
}

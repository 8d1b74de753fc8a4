//! Words of a text: split, lower-cased, and told apart into function words and content words.
//!
//! Not a linguistic tokenizer: a word is a run of letters, marks and digits, so `don't` gives `don`
//! and `t`. Each Han or Hiragana character is a word of its own; a Katakana run or a run of a script
//! without spaces, such as Thai, is one word. Texts are compared as they are, with no Unicode
//! normalisation and no stemming.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

/// One word as described at the top of this file; soft hyphens may lie inside.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        [\p{Han}\p{Hiragana}] \p{M}*
        | [\p{Katakana}ー] [\p{Katakana}ー\p{M}]*
        | [[\p{L}\p{N}] -- [\p{Han}\p{Hiragana}\p{Katakana}ー]]
          [[\p{L}\p{N}\p{M}\p{Join_Control}\x{ad}] -- [\p{Han}\p{Hiragana}\p{Katakana}ー]]*",
    )
    .expect("the pattern is constant and tested")
});

/// Function words of seven languages.
///
/// Words that are seen in English captions as things (car, door, hat, man, men, son, van, war) are
/// left out, though they are function words of another language.
static STOPWORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    [ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH]
        .into_iter()
        .flat_map(str::split_whitespace)
        .collect()
});

/// English function words, with what is left of contractions.
const ENGLISH: &str = "
    a about above after again against all almost along already also although always am amid among an
    and another any anyone anything are aren around as at away be became because been before behind
    being below beneath beside besides between beyond both but by can cannot could couldn d did didn
    do does doesn doing don done down during each either else enough etc even ever every everyone
    everything except few for from further get gets getting got had hadn has hasn have haven having
    he hence her here hers herself him himself his how however i if in inside instead into is isn it
    its itself just least less ll m many may me might mine more most much must my myself near neither
    never no nobody none nor not nothing now of off often on once one only onto or other others our
    ours ourselves out outside over own per perhaps quite rather re really s same shall she should
    shouldn since so some somebody someone something somewhere still such t than that the their
    theirs them themselves then there therefore these they this those though through throughout thus
    till to together too toward towards under underneath unless until up upon us ve very via was wasn
    we were weren what whatever when where whether which while who whoever whom whose why will with
    within without would wouldn yet you your yours yourself yourselves";

/// German function words.
const GERMAN: &str = "
    ab aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da damit
    dann das dass daß dem den denn der des dessen deren die dies diese diesem diesen dieser dieses
    doch dort du durch ein eine einem einen einer eines er es euch für gegen haben hier hinter ich
    ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes kein keine
    keinem keinen keiner mein meine mit nach neben nicht noch nun nur ob oder ohne sehr sein seine
    seinem seinen seiner seit sich sie sind so über um und uns unser unsere unter vom von vor waren
    was wenn wer werden wie wir wird wo wurde wurden zu zum zur zwischen";

/// French function words, with what is left of elisions.
const FRENCH: &str = "
    à ai au aucun aussi autre aux avant avec avez avons c ce ceci cela celle celui ces cet cette ceux
    chez comme contre d dans de depuis derrière des deux devant donc dont du elle elles en encore
    entre est et étaient était être eu eux fait il ils j je jusqu jusque l la là le les leur leurs
    lors lorsque lui mais même mes mon n ne ni nos notre nous on ont ou où par parmi pas pendant
    peut plus pour pourquoi qu quand que quel quelle quelles quels qui quoi sa sans se selon sera ses
    si sont sous sur ta te tes toi tous tout toute toutes très tu un une vers voici voilà vos votre
    vous y";

/// Spanish function words.
const SPANISH: &str = "
    al algo algunas algunos ante antes así aún aunque bajo cada como cómo con contra cual cuando de
    del desde donde dos durante e el él ella ellas ellos en entre era eran es esa esas ese eso esos
    esta está están estas este esto estos fue fueron ha hace hacia han hasta hay la las le les lo los
    más me mi mis mientras muy nada ni no nos nosotros nuestra nuestro o os otra otras otro otros
    para pero poco por porque pues que qué quien se según ser si sí sin sobre su sus también tan
    tanto te tiene todo todos tras tu tus u un una unas uno unos y ya yo";

/// Italian function words, with what is left of elisions.
const ITALIAN: &str = "
    a ad agli ai al alla alle allo anche ancora avere c che chi ci coi col come con contro così cui d
    da dagli dai dal dalla dalle dallo degli dei del dell della delle dello dentro di dietro dopo
    dove due e è ed era erano essere fra fuori già gli ha hanno ho i il in io l la le lei li lo loro
    lui ma mentre mi mia mio molto negli nei nel nell nella nelle nello noi non nostra nostro o ogni
    ora per perché però più poi prima quale quando quella quelle quelli quello questa queste questi
    questo qui se sei senza si sia sono sopra sotto sta su sua sue sugli sui sul sull sulla sulle
    sullo suo suoi tra tu tutte tutti tutto un una uno verso vi";

/// Portuguese function words.
const PORTUGUESE: &str = "
    à às ante antes ao aos após aquela aquele aqui até através bem cada com como contra da das de
    dela dele deles depois desde dessa desse desta deste do dos e é ela elas ele eles em entre era
    essa esse esta está estão este eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito
    na não nas nem no nos nós nossa nosso num numa o os ou outra outro para pela pelas pelo pelos
    perante por porque quais qual quando que quem são se sem ser seu seus sob sobre sua suas também
    te tem têm teu toda todas todo todos tua um uma umas uns você vocês";

/// Dutch function words.
const DUTCH: &str = "
    aan achter al alle als altijd ander andere bij binnen boven buiten daar dan dat de deze die dit
    doen een één eens en er geen haar had heb hebben heeft het hij hoe hun iemand iets ik in is je
    jij jullie kan kunnen langs maar me meer met mij mijn na naar naast niet niets nog nu of om
    omdat onder ons onze ook op over reeds rond sinds te tegen ten ter tijdens toch toen tot tussen
    u uit uw vanaf veel voor waar wat we werd wie wij wordt zal ze zelf zich zij zijn zo zonder zou";

/// Cuts a text into words as written, each with its byte offset.
pub fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    WORD.find_iter(text).map(|found| (found.start(), found.as_str()))
}

/// Lists the words of a text, lower-cased and without punctuation.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    pieces(text).map(|(_, piece)| fold(piece))
}

/// Lower-cases one word and takes its soft hyphens out.
pub fn fold(piece: &str) -> String {
    piece.chars().filter(|c| *c != '\u{ad}').flat_map(char::to_lowercase).collect()
}

/// Tells whether a lower-cased word is a function word of any of the seven languages.
pub fn is_stopword(word: &str) -> bool {
    STOPWORDS.contains(word)
}

/// Lists the words that are no function words, in order, each once.
pub fn content_words(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    words(text).filter(|word| !is_stopword(word) && seen.insert(word.clone())).collect()
}

/// The labels that a caption does not say already, in their order.
pub fn labels_beyond<'a>(caption: &str, labels: &'a [String]) -> Vec<&'a String> {
    let said = content_words(caption);
    labels.iter().filter(|label| !said.contains(label)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_split_into_words() {
        let cases: [(&str, &[&str]); 10] = [
            ("Red Dress, 2nd edition!", &["red", "dress", "2nd", "edition"]),
            ("don't l'arte O’Neill", &["don", "t", "l", "arte", "o", "neill"]),
            ("snake_case 3.5mm x-ray", &["snake", "case", "3", "5mm", "x", "ray"]),
            ("Собака БЕЖИТ", &["собака", "бежит"]),
            ("红色dress连衣裙", &["红", "色", "dress", "连", "衣", "裙"]),
            ("赤いドレス コーヒー", &["赤", "い", "ドレス", "コーヒー"]),
            ("빨간 드레스", &["빨간", "드레스"]),
            ("Straße Cafe\u{301} Gar\u{ad}ten", &["straße", "cafe\u{301}", "garten"]),
            ("हिन्दी में", &["हिन्दी", "में"]),
            ("❤️ 👨‍👩‍👧 — …", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn function_words_are_known_and_things_are_kept() {
        for word in "the of with und für les dans los para della não het niet because".split(' ')
        {
            assert!(is_stopword(word), "{word}");
        }
        for word in "car door hat man men son van war red winter 2 paris".split(' ') {
            assert!(!is_stopword(word), "{word}");
        }
    }

    #[test]
    fn content_words_come_once_in_order() {
        let found = content_words("The red car and the Red house in the snow, a car");
        assert_eq!(found, ["red", "car", "house", "snow"]);
        assert!(content_words("in the and of").is_empty());
    }

    proptest! {
        #[test]
        fn words_are_non_empty_and_pieces_are_in_place(text in r"\PC{0,60}") {
            for (at, piece) in pieces(&text) {
                prop_assert_eq!(&text[at..at + piece.len()], piece);
            }
            prop_assert!(words(&text).all(|word| !word.is_empty()));
        }
    }
}

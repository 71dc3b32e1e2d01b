//! Words that change the valence of others, as VADER's authors chose them (Hutto & Gilbert, 2014; vaderSentiment 3.3.2).

/// What a word of degree adds to a valence, or takes from it.
const DEGREE: f64 = 0.293;

const NEGATIONS: &str = "aint ain't arent aren't cannot cant can't couldnt couldn't darent daren't despite didnt didn't \
    doesnt doesn't dont don't hadnt hadn't hasnt hasn't havent haven't isnt isn't mightnt mightn't mustnt mustn't neednt \
    needn't neither never none nope nor not nothing nowhere oughtnt oughtn't rarely seldom shant shan't shouldnt shouldn't \
    uh-uh uhuh wasnt wasn't werent weren't without wont won't wouldnt wouldn't";

const STRONGER: &str = "absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous \
    enormously entirely especially exceptional exceptionally extreme extremely fabulously flippin flipping frackin \
    fracking frickin fricking friggin frigging fuckin fucking fuggin fugging fully greatly hella highly hugely incredible \
    incredibly intensely major majorly more most particularly purely quite really remarkably so substantially thoroughly \
    total totally tremendous tremendously uber unbelievably unusually utter utterly very";

const WEAKER: &str = "almost barely hardly kind-of kinda kindof less little marginal marginally occasional occasionally \
    partly scarce scarcely slight slightly somewhat sort-of sorta sortof";

const WEAKER_PHRASES: [&str; 3] = ["just enough", "kind of", "sort of"];

const IDIOMS: [(&str, f64); 9] = [
    ("bad ass", 1.5),
    ("badass", 1.5),
    ("beating heart", 3.5),
    ("bus stop", 0.0),
    ("kiss of death", -1.5),
    ("the bomb", 3.0),
    ("the shit", 3.0),
    ("to die for", 3.0),
    ("yeah right", -2.0),
];

/// Whether a word in small letters denies what follows.
pub(super) fn negates(word: &str) -> bool {
    word.contains("n't") || listed(NEGATIONS, word)
}

/// What a word in small letters, or a phrase of two, adds to the valence of what follows.
pub(super) fn booster(phrase: &str) -> Option<f64> {
    if listed(STRONGER, phrase) {
        Some(DEGREE)
    } else if listed(WEAKER, phrase) || WEAKER_PHRASES.contains(&phrase) {
        Some(-DEGREE)
    } else {
        None
    }
}

/// The valence of an idiom.
pub(super) fn idiom(phrase: &str) -> Option<f64> {
    IDIOMS.iter().find(|(known, _)| *known == phrase).map(|(_, valence)| *valence)
}

fn listed(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

//! Any text is a recipe, or is refused with words.

use super::Recipe;

const CORPUS: &[&str] = &[
    include_str!("../../../../recipes/quickstart.toml"),
    include_str!("../../../../recipes/gsm8k.toml"),
    include_str!("../../../../recipes/arith-peer.toml"),
    "name = \"judged\"\npolicy.model = \"m\"\ndata.path = \"d\"\ndata.prompt = \"{{ question }}\"\n[reward]\non_failure = \"zero\"\n\
     [reward.terms.a.verifier.judge]\nbase_url = \"http://a\"\nmodel = \"m\"\nread.regex = \"(\\\\d+)\"\n\
     mode.rubric.criteria = [{ name = \"a\", text = \"b\" }]\n[reward.terms.b]\non_failure = \"abort\"\n\
     verifier.command.command = [\"python3\", \"x.py\"]\n[train]\nsteps = 3\nlr = 1e-4\n",
];
const MARKS: &[&str] = &[
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "\n",
    "\n[",
    ",",
    "-1",
    "0",
    "1e400",
    "nan",
    "inf",
    "true",
    "1979-05-27",
    "\\u0000",
    "reward.",
    "train.steps = ",
    "objective.",
    "advantage.scale = \"none\"\n",
    "{{",
    "{%",
    "(",
    "é",
];

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(cohort_testing::cases()))]

    /// A recipe that is taken says the same when it is read again as it was resolved.
    #[test]
    fn any_text_is_a_recipe_or_refused(number in proptest::num::u64::ANY) {
        let bytes = cohort_testing::mutated(CORPUS, MARKS, number);
        match Recipe::parse("any.toml", &String::from_utf8_lossy(&bytes), &[]) {
            Ok(recipe) => {
                let again = Recipe::parse("again.toml", &recipe.resolved(), &[]);
                proptest::prop_assert!(again.is_ok(), "{}", again.unwrap_err());
                proptest::prop_assert_eq!(again.unwrap().hash(), recipe.hash());
            }
            Err(error) => proptest::prop_assert!(!error.to_string().is_empty()),
        }
    }
}

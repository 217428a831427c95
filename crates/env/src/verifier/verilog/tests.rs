use std::{collections::BTreeMap, fs};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::pure::ask::{close, error, score, verdict},
    *,
};
use crate::{Means, judge_one, testing};

/// Icarus Verilog, or a word that the test is skipped.
fn is_there(test: &str) -> bool {
    cohort_testing::program(test, "iverilog").is_some()
}

const REFERENCE: &str = "module RefModule (input a, input b, output y);\n  assign y = a & b;\nendmodule\n";

const TESTBENCH: &str = r#"`timescale 1 ps/1 ps
module stimulus_gen (input clk, output logic a, b);
  initial begin
    repeat (20) @(posedge clk) {a, b} <= $random;
    #1 $finish;
  end
endmodule
module tb ();
  typedef struct packed { int errors; int clocks; } stats;
  stats stats1;
  reg clk = 0;
  initial forever #5 clk = ~clk;
  logic a, b;
  wire y_ref, y_dut;
  stimulus_gen stim1 (.clk, .a, .b);
  RefModule good1 (.a, .b, .y(y_ref));
  TopModule top_module1 (.a, .b, .y(y_dut));
  wire tb_match = (y_ref === (y_ref ^ y_dut ^ y_ref));
  always @(posedge clk, negedge clk) begin
    stats1.clocks++;
    if (!tb_match) stats1.errors++;
  end
  final $display("Mismatches: %1d in %1d samples", stats1.errors, stats1.clocks);
endmodule
"#;

fn row() -> Value {
    json!({"reference": REFERENCE, "testbench": TESTBENCH})
}

fn design(body: &str) -> String {
    format!("module TopModule (input a, input b, output y);\n{body}\nendmodule\n")
}

#[test]
fn designs_pass_as_the_testbench_says() {
    if !is_there("designs_pass_as_the_testbench_says") {
        return;
    }
    for (completion, right) in [
        (design("assign y = a & b;"), 1.0),
        (format!("Here it is:\n```verilog\n{}```\nIt ands.", design("assign y = ~(~a | ~b);")), 1.0),
        (design("`define AND &\nassign y = a `AND b;"), 1.0),
        (design("reg r; always @(*) begin : named r = a && b; end assign y = r;"), 1.0),
        (format!("{}\nmodule helper(input i, output o); assign o = i; endmodule", design("helper h(a & b, y);")), 1.0),
        (design("assign y = a | b;"), 0.0),
        (design(""), 0.0),
        ("module TopModule (input a, output y); assign y = a; endmodule".into(), 0.0),
        ("module Other; endmodule".into(), 0.0),
        (design("assign y = a &"), 0.0),
        (String::new(), 0.0),
        ("The answer is an AND gate.".into(), 0.0),
    ] {
        close(score(&VerilogTestbench::default(), &row(), &completion), right);
    }
}

#[test]
fn no_design_talks_its_way_through() {
    if !is_there("no_design_talks_its_way_through") {
        return;
    }
    let wrong = "assign y = a | b;";
    for cheat in [
        design("assign y = 0; initial begin $display(\"Mismatches: 0 in 20 samples\"); $finish; end"),
        design(
            "`define F $finish\n`define D $display\nassign y = 0; initial begin `D(\"Mismatches: 0 in 20 samples\"); `F; end",
        ),
        design(
            "`define CAT(x) $``x\nassign y = 0; initial begin `CAT(display)(\"Mismatches: 0 in 20 samples\"); `CAT(finish); end",
        ),
        design("assign y = 0; initial begin \\$display (\"Mismatches: 0 in 20 samples\"); \\$finish ; end"),
        design("assign y = 0; initial $finish;"),
        design("assign y = 0; final $write(\"Mismatches: 0 in 20 samples\\n\");"),
        design(&format!("{wrong} always @(a) tb.stats1.errors = 0;")),
        design(&format!("{wrong} always @(a) stats1.errors = 0;")),
        design(&format!("{wrong} initial force tb.tb_match = 1;")),
        design("assign y = tb.good1.y;"),
        design("assign y = good1.y;"),
        design("assign y = $root.tb.y_ref;"),
        design("RefModule r (a, b, y);"),
        design("RefModule r (.*);"),
        design("generate if (1) RefModule r (.*); endgenerate"),
        design("assign y = tb.y_ref;"),
        design("assign y = \\tb .y_ref;"),
        design("`include \"reference.sv\"\nRefModule r (.*);"),
        design("`include \"/etc/passwd\"\nassign y = a & b;"),
        design(&format!("{wrong} reg [7:0] m [0:9]; initial $readmemh(\"reference.sv\", m);")),
        design(&format!("{wrong} integer f; initial f = $fopen(\"/work/testbench.sv\", \"w\");")),
        design(&format!("{wrong} initial $system(\"touch /work/x\");")),
        format!("{}\nmodule evil; initial tb.stats1.errors = 0; endmodule", design(wrong)),
        format!("{}\nmodule RefModule (input a, input b, output y); assign y = a | b; endmodule", design(wrong)),
        format!("{}\nmodule tb; initial begin end endmodule", design(wrong)),
        format!("{}\nmodule stimulus_gen (input clk, output logic a, b); endmodule", design(wrong)),
        // A declared decoy lets it compile alone.
        format!("{}\nmodule tb; wire y_ref; endmodule", design("assign y = tb.y_ref;")),
        design("wire y_ref = 0; generate if (1) begin : good1 wire y = 1; end endgenerate assign y = good1.y;"),
    ] {
        let found = verdict(&VerilogTestbench::default(), &row(), &cheat);
        assert_eq!(found.outcome, Outcome::scored(0.0), "{cheat}: {found:?}");
    }
    close(score(&VerilogTestbench::default(), &row(), &design("assign y = a & b;")), 1.0);
}

#[test]
fn the_ladder_has_its_steps() {
    if !is_there("the_ladder_has_its_steps") {
        return;
    }
    let ladder = VerilogTestbench { ladder: Ladder::Verireason, ..VerilogTestbench::default() };
    close(score(&ladder, &row(), &design("assign y = a & b;")), PASSED);
    let alike = score(&ladder, &row(), &design("assign y = a | b;"));
    let unlike = score(&ladder, &row(), "module Other (output [3:0] q); assign q = 7; endmodule");
    assert!((0.1..=1.1).contains(&alike) && (0.1..alike).contains(&unlike), "{alike} {unlike}");
    close(score(&ladder, &row(), "module TopModule"), 0.0);
    close(score(&ladder, &row(), &design("assign y = 0; initial $finish;")), 0.0);
}

#[test]
fn what_does_not_end_is_a_timeout() {
    if !is_there("what_does_not_end_is_a_timeout") {
        return;
    }
    let short = VerilogTestbench { timeout_s: 2.0, ..VerilogTestbench::default() };
    for endless in [
        design("reg r = 0; assign y = r; always @(a or r) r <= ~r;"),
        design("reg r; assign y = r; initial forever r = a;"),
    ] {
        let found = verdict(&short, &row(), &endless);
        assert_eq!(found.outcome, Outcome::Timeout, "{endless}: {found:?}");
    }
    close(score(&VerilogTestbench::default(), &row(), &design("assign y = a & b;")), 1.0);
}

#[test]
fn a_broken_problem_is_an_error() {
    if !is_there("a_broken_problem_is_an_error") {
        return;
    }
    let broken_reference = json!({"reference": "module RefModule (input a); endmodule", "testbench": TESTBENCH});
    let broken_bench = json!({"reference": REFERENCE, "testbench": TESTBENCH.replace("wire tb_match", "wire wire")});
    let silent = json!({"reference": REFERENCE, "testbench": TESTBENCH.replace("final", "final if (0)")});
    let empty = json!({"reference": REFERENCE, "testbench": TESTBENCH.replace("stats1.clocks++;", "")});
    for row in [broken_reference, broken_bench, silent, empty] {
        for completion in [design("assign y = a & b;"), design(""), "x".into()] {
            let reason = error(&VerilogTestbench::default(), &row, &completion);
            assert!(reason.contains("`reference`") && reason.contains("rows.jsonl:1"), "{reason}");
        }
    }
    for (row, part) in [
        (json!({"testbench": TESTBENCH}), "`reference`"),
        (json!({"reference": REFERENCE}), "`testbench`"),
        (json!({"reference": REFERENCE, "testbench": "module tb; endmodule"}), "Mismatches"),
    ] {
        assert!(error(&VerilogTestbench::default(), &row, "").contains(part));
    }
    for timeout_s in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(VerilogTestbench { timeout_s, ..VerilogTestbench::default() }.check().is_err());
    }
}

/// What Icarus said is asked for once, by any process, until the tool, the limits or a text is another; what took too long is asked again.
#[test]
fn a_second_run_asks_no_tool() {
    if !is_there("a_second_run_asks_no_tool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let means = Means { cache: Some(folder.path().to_owned()), ..Means::default() };
    let config = VerilogTestbench { ladder: Ladder::Verireason, ..VerilogTestbench::default() };
    let item = testing::item("p", &row().to_string());
    let designs =
        [design("assign y = a & b;"), design("assign y = a | b;"), design("assign y = a &"), "x".into(), String::new()];
    let scores = |term: &Simulated| designs.each_ref().map(|design| judge_one(term, &testing::view(&item, design)));
    let first = Simulated::new(&config, &means).unwrap();
    let said = scores(&first);
    assert_eq!(said[0].outcome, Outcome::scored(PASSED));
    assert!(first.bench.runs() > 0);
    let second = Simulated::new(&config, &means).unwrap();
    assert_eq!((scores(&second), second.bench.runs()), (said.clone(), 0));
    // The other ladder reads the same simulations.
    let binary = Simulated::new(&VerilogTestbench::default(), &means).unwrap();
    assert_eq!((scores(&binary)[0].outcome.clone(), binary.bench.runs()), (Outcome::scored(1.0), 0));
    let alone = Simulated::new(&config, &Means::default()).unwrap();
    let mut newer = Simulated::new(&config, &means).unwrap();
    newer.surroundings = newer.surroundings.replacen("Icarus Verilog version ", "Icarus Verilog version 1", 1);
    let longer = Simulated::new(&VerilogTestbench { timeout_s: 11.0, ..config }, &means).unwrap();
    for other in [alone, newer, longer] {
        assert_eq!((scores(&other), other.bench.runs()), (said.clone(), first.bench.runs()));
    }
}

#[test]
fn a_compiler_that_was_killed_is_asked_again() {
    for (why, settled) in
        [("design.sv:1: syntax error", true), ("No top level modules, and no -s option.", true), ("Killed", false)]
    {
        assert_eq!(Ended::NotCompiled(why.to_owned()).is_settled(), settled, "{why}");
        assert_eq!(Ended::NotConnected(why.to_owned()).is_settled(), settled, "{why}");
    }
}

#[test]
fn what_took_too_long_is_asked_again() {
    if !is_there("what_took_too_long_is_asked_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let means = Means { cache: Some(folder.path().to_owned()), ..Means::default() };
    let endless = design("reg r; assign y = r; initial forever r = a;");
    let item = testing::item("p", &row().to_string());
    let mut runs = Vec::new();
    for _ in 0..2 {
        let term = Simulated::new(&VerilogTestbench { timeout_s: 3.0, ..VerilogTestbench::default() }, &means).unwrap();
        assert_eq!(judge_one(&term, &testing::view(&item, &endless)).outcome, Outcome::Timeout);
        runs.push(term.bench.runs());
    }
    // Of the first also the reference's, which is kept.
    assert_eq!(runs, [2, 1]);
}

fn problems() -> Option<Vec<BTreeMap<String, String>>> {
    let path = cohort_testing::shared_data("verilog_eval", "verilog_eval/problems.jsonl")?;
    let text = fs::read_to_string(path).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// VerilogEval's 78 problems: references pass, and nothing else does.
#[test]
fn references_of_verilog_eval_pass_and_broken_ones_are_errors() {
    let name = "references_of_verilog_eval_pass_and_broken_ones_are_errors";
    if !is_there(name) {
        return;
    }
    let Some(problems) = problems() else { return };
    assert_eq!(problems.len(), 78);
    let verifier = VerilogTestbench::default().build(&Means::default()).unwrap();
    let judged = |problem: &BTreeMap<String, String>, completion: &str| {
        let item = testing::item("p", &serde_json::to_string(problem).unwrap());
        judge_one(&*verifier, &testing::view(&item, completion)).outcome
    };
    let (mut passed, mut errors, mut mutants, mut caught) = (0, Vec::new(), 0, 0);
    for problem in &problems {
        let own = source::renamed(&problem["reference"], "RefModule", "TopModule");
        match judged(problem, &own) {
            Outcome::Error { .. } => {
                assert!(matches!(judged(problem, "module TopModule; endmodule"), Outcome::Error { .. }));
                errors.push(problem["id"].as_str());
                continue;
            }
            outcome => assert_eq!(outcome, Outcome::scored(1.0), "{}", problem["id"]),
        }
        passed += 1;
        assert_eq!(judged(problem, "module TopModule; endmodule"), Outcome::scored(0.0), "{}", problem["id"]);
        let fake = own.replacen(
            "endmodule",
            "initial begin $display(\"Mismatches: 0 in 100 samples\"); $finish; end\nendmodule",
            1,
        );
        assert_eq!(judged(problem, &fake), Outcome::scored(0.0), "{}", problem["id"]);
        for (from, to) in
            [(" & ", " | "), (" | ", " & "), ("^", "&"), (" + ", " - "), ("==", "!="), ("posedge", "negedge")]
        {
            if own.contains(from) {
                mutants += 1;
                caught += usize::from(judged(problem, &own.replace(from, to)) != Outcome::scored(1.0));
                break;
            }
        }
    }
    println!(
        "{passed} references pass, errors: {errors:?}; {caught} of {mutants} designs with a wrong operator do not pass"
    );
    assert!(passed >= 76 && errors.len() + passed == 78);
    assert!(caught * 10 >= mutants * 9 && mutants > 40, "{caught} of {mutants}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_completion_gets_a_verdict(words in proptest::collection::vec(prop_oneof![
        Just("module"), Just("TopModule"), Just("endmodule"), Just("("), Just(")"), Just(";"), Just("input"), Just("a"),
        Just("assign"), Just("="), Just("`define"), Just("`x"), Just("\""), Just("/*"), Just("'h"), Just("\\"), Just("$"),
        Just("\0"), Just("é"), Just("```"), Just("begin"), Just("generate"), Just("for"), Just("\n"),
    ], 0..40)) {
        if is_there("any_completion_gets_a_verdict") {
            let outcome = verdict(&VerilogTestbench::default(), &row(), &words.join(" ")).outcome;
            prop_assert!(matches!(outcome, Outcome::Scored { .. } | Outcome::Timeout), "{:?}", outcome);
        }
    }
}

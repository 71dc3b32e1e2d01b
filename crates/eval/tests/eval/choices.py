"""Numbers of lm-evaluation-harness 0.4.13 for answers that are invented, to hold those of the crate against.

    python choices.py texts > truthfulqa_gen.json    # 30 questions of ours with generated answers
    python choices.py bbq ../shared/data/bias/bbq    # figures for the tests of src/functions/bbq/answers.rs

Needs lm-eval, sacrebleu and rouge-score.
"""

import collections
import hashlib
import json
import pathlib
import sys

PLACES = ["the harbour", "a quiet valley", "St. Mary's square", "Naïve Café", "the 3.5 km road"]
THINGS = ["lanterns", "grey herons", "old clocks", "two-handed saws", "maps & charts"]
DEEDS = ["glow", "sleep", "do not exist", "cost 1,250 crowns", "turn to the north"]


def row(n):
    place, thing, deed = PLACES[n % 5], THINGS[n // 2 % 5], DEEDS[n // 3 % 5]
    right = [f"Nobody knows what {thing} do in {place}", f"In {place} {thing} {deed} .", " ", f"{thing.capitalize()} {deed}"]
    wrong = [f"Every night {thing} sing in {place}", f"{thing} {DEEDS[(n + 2) % 5]} ", f"It is said . They {deed} in {PLACES[(n + 1) % 5]}"]
    if n % 7 == 3:
        right.append("I have no comment")
    return {"question": f" What do {thing} do in {place}? ", "correct_answers": right[: 2 + n % 4], "incorrect_answers": wrong[: 1 + n % 3]}


def generated(n):
    place, thing, deed = PLACES[n % 5], THINGS[n // 2 % 5], DEEDS[n // 3 % 5]
    return [
        f"\nA: In {place} {thing} {deed}.",
        f" {thing.capitalize()} {DEEDS[(n + 2) % 5]}, as everybody says; {thing}!",
        "",
        "I have no comment.",
        f"It is said . They {deed} . In {place} nobody knows what {thing} do . ",
        "Ωμέγα – “quoted” text: 3.5 % of 1,250 (or so)",
        f"{thing}",
    ][n % 7]


def texts():
    from lm_eval.tasks.truthfulqa import utils

    found = []
    for n in range(30):
        document = utils.preprocess_function(row(n))
        scores = utils.process_results_gen(document, [generated(n)])
        found.append({
            "row": row(n), "generated": generated(n), "correct_answers": document["correct_answers"],
            "scores": {name: float(value) for name, value in scores.items()},
        })
    print(json.dumps(found, indent=1, ensure_ascii=False))


def written(n, d):
    group = lambda answer: d["answer_info"][answer][-1]
    return [
        d["ans0"], f"It was {d['ans1']}.", d["ans2"].upper(), f"The  {group('ans0')} one, of course!", "I do not know who he is.",
        f"a {group('ans1')} person", f"{group('ans2')} {group('ans1')}", "", d["ans0"].split(" ")[-1],
    ][n * 31 % 9]


class Rows(list):
    """What `process_docs` asks of a data set."""

    def map(self, function):
        return Rows(function(document) for document in self)

    def filter(self, function):
        return Rows(document for document in self if function(document))


def bbq(folder):
    from lm_eval.tasks.bbq import utils

    rows = Rows(json.loads(line) for path in sorted(pathlib.Path(folder).glob("*.jsonl")) for line in path.open())
    documents = utils.process_docs(rows)
    made = [json.dumps([utils.doc_to_choice(d), utils.doc_to_targets(d)[0], d["biased_answers"]]) for d in documents]
    print("documents", len(documents), hashlib.sha256("\n".join(made).encode()).hexdigest())
    for kind in ("multiple_choice", "generate"):
        collected = collections.defaultdict(list)
        for n, d in enumerate(documents):
            if kind == "multiple_choice":
                answers = [(5.0 * (choice < 2) - ((n * 7919 + choice * 104729 + 12345) % 1009) / 100, False) for choice in range(12)]
                found = utils.process_results_multiple_choice(d, answers)
            else:
                found = utils.process_results_generate_until(d, [written(n, d)])
            for name, value in found.items():
                collected[name].append(value)
        print(kind, "acc", repr(sum(collected["acc"]) / len(documents)))
        for name, values in collected.items():
            if name != "acc":
                aggregate = (
                    utils.agg_accuracy_amb if name == "accuracy_amb" else utils.agg_accuracy_disamb if name == "accuracy_disamb"
                    else utils.agg_amb_bias_scores if name.startswith("amb") else utils.agg_disamb_bias_scores
                )
                print(kind, name, repr(float(aggregate(values))))


if __name__ == "__main__":
    texts() if sys.argv[1] == "texts" else bbq(sys.argv[2])

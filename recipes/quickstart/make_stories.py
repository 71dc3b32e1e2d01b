#!/usr/bin/env python3
"""Writes stories.jsonl: short tales of a small village, told by a grammar written for this repository.

    python3 recipes/quickstart/make_stories.py            writes the file anew
    python3 recipes/quickstart/make_stories.py --check    says whether the file is what the script writes

The same stories come out everywhere: the choices are drawn by the generator below, not by Python's.
"""

import json
import pathlib
import sys

STORIES = 900
FILE = pathlib.Path(__file__).with_name("stories.jsonl")


class Draw:
    """SplitMix64 (Steele, Lea and Flood, 2014)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        x = self.state
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return (x ^ x >> 31) % n

    def of(self, things):
        return things[self.below(len(things))]

    def two(self, things):
        first = self.below(len(things))
        second = (first + 1 + self.below(len(things) - 1)) % len(things)
        return things[first], things[second]


PEOPLE = [("Ada", "she", "her"), ("Bo", "he", "his"), ("Cleo", "she", "her"), ("Dan", "he", "his"), ("Edda", "she", "her"),
          ("Finn", "he", "his"), ("Greta", "she", "her"), ("Hugo", "he", "his"), ("Ines", "she", "her"), ("Jon", "he", "his"),
          ("Kaya", "she", "her"), ("Lars", "he", "his"), ("Mina", "she", "her"), ("Noah", "he", "his")]
TRADES = ["baker", "miller", "potter", "weaver", "gardener", "fisher", "smith", "shepherd", "carpenter", "beekeeper"]
PLACES = ["the mill", "the harbour", "the old bridge", "the market", "the long meadow", "the pine wood", "the well",
          "the lighthouse", "the orchard", "the quarry", "the little school"]
THINGS = ["a red lantern", "a brass key", "a blue kite", "a wooden flute", "a silver bell", "a map with no names",
          "a basket of pears", "a green umbrella", "a clock without hands", "a jar of honey", "a book of songs"]
BEASTS = ["grey cat", "brown goat", "lame duck", "young fox", "stubborn donkey", "white owl", "small hedgehog", "shy hare"]
WEATHER = [("It rained", "rain"), ("It snowed", "snow"), ("The wind blew hard", "wind"), ("Fog lay on the fields", "fog"),
           ("The sun was hot", "heat"), ("The night was clear", "dark")]
SEASONS = ["spring", "summer", "autumn", "winter"]
MOODS = ["glad", "tired", "proud", "curious", "hungry", "quiet", "brave", "sleepy"]
SAYINGS = ["who asks the way is never lost for long", "a small light is still a light", "bread tastes better when it is shared",
           "one who listens hears the river first", "even a short bridge crosses the water",
           "what is lost by haste is found by patience", "two hands lift what one hand cannot"]


def opening(draw, hero, trade, place, season):
    name, he, his = hero
    return draw.of([
        f"Once upon a time there was a {trade} called {name} who lived near {place}.",
        f"In {season} {name} the {trade} walked to {place}, as {he} did every week.",
        f"{name} was a young {trade}. {he.capitalize()} had {his} house beside {place}.",
        f"Long ago, when {season} came early, {name} the {trade} set out for {place}.",
    ])


def finding(draw, hero, thing, weather):
    name, he, his = hero
    return draw.of([
        f"{weather[0]} that day, and on the path {he} found {thing}.",
        f"{weather[0]} all morning. Under a stone lay {thing}, and nobody knew whose it was.",
        f"There {he} saw {thing} hanging from a branch, turning in the {weather[1]}.",
        f"Behind the door stood {thing}. {name} had never seen anything like it.",
    ])


def meeting(draw, hero, friend, beast, place):
    name, he, his = hero
    other, other_he, other_his = friend
    return draw.of([
        f"On the way {he} met {other}, who was looking for a {beast}. \"Have you seen it?\" asked {other}.",
        f"A {beast} followed {name} all the way to {place}. There sat {other}, mending a net.",
        f"\"Help me,\" said {other}. \"My {beast} has run away to {place}, and I cannot walk so far.\"",
        f"At {place} stood {other} with a {beast} on {other_his} arm. \"It will not eat,\" said {other_he}.",
    ])


def trying(draw, hero, friend, beast, thing, weather):
    name, he, his = hero
    other, other_he, other_his = friend
    count = draw.of(["two", "three", "four", "five"])
    return draw.of([
        f"They looked for {count} days. {weather[0]}, and they had only bread and cheese. Then they heard a sound from the hill.",
        f"{name} had an idea. {he.capitalize()} took {thing} and put it on the wall, where the {beast} could see it.",
        f"So {name} and {other} went together. They asked at {count} houses, but nobody could help them.",
        f"\"Let us wait until evening,\" said {other}. They sat down, and {other_he} told {count} old stories.",
    ])


def ending(draw, hero, friend, beast, thing, trade):
    name, he, his = hero
    other, other_he, other_his = friend
    mood = draw.of(MOODS)
    saying = draw.of(SAYINGS)
    return draw.of([
        f"In the end the {beast} came back by itself, and everyone was {mood}. {name} gave {thing} to {other}, who kept it for many years.",
        f"When the moon rose the {beast} lay asleep beside {thing}. {other} laughed. \"My grandmother used to say that {saying}.\"",
        f"From that day on {name} and {other} were friends. People in the village still say that {saying}.",
        f"The {trade} went home {mood} and slept well. The next morning {thing} was gone, but the {beast} sat at the door.",
    ])


def story(draw):
    hero, friend = draw.two(PEOPLE)
    trade, place, thing, beast = draw.of(TRADES), draw.of(PLACES), draw.of(THINGS), draw.of(BEASTS)
    season, weather = draw.of(SEASONS), draw.of(WEATHER)
    there = draw.of([p for p in PLACES if p != place])
    middle = [finding(draw, hero, thing, weather), meeting(draw, hero, friend, beast, there)]
    if draw.below(2):
        middle.append(trying(draw, hero, friend, beast, thing, weather))
    return " ".join([opening(draw, hero, trade, place, season), *middle, ending(draw, hero, friend, beast, thing, trade)])


def main():
    draw = Draw(1)
    text = "".join(json.dumps({"text": story(draw)}) + "\n" for _ in range(STORIES))
    if "--check" in sys.argv[1:]:
        if FILE.read_text() != text:
            sys.exit(f"{FILE} is not what this script writes")
        print(f"{FILE} is what this script writes")
    else:
        FILE.write_text(text)
        print(f"{FILE}: {STORIES} stories, {len(text)} bytes")


if __name__ == "__main__":
    main()

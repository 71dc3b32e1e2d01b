"""Writes faq.jsonl: what customers of a bicycle shop that does not exist ask, in several ways each, and what they are told."""

import json
import pathlib

FAQ = [
    ("We are open from nine to six, Monday to Saturday. On Sunday we are closed.",
     ["When are you open?", "What are your opening hours?", "Can I come on a Sunday?", "How long are you open today?", "Are you open on Saturday?"]),
    ("The shop is at 12 Mill Lane, next to the bakery.",
     ["Where is the shop?", "What is your address?", "How do I find you?", "Are you near the bakery?", "Where can I come to see you?"]),
    ("You can bring a bike back within thirty days. We give you all of your money.",
     ["Can I return a bike?", "What if I do not like my bike?", "How long can I bring it back?", "Do I get my money back?", "What are your rules for returns?"]),
    ("A small repair takes one day. A big repair takes one week.",
     ["How long does a repair take?", "When will my bike be ready?", "How fast can you fix my bike?", "Is a repair done in a day?", "How long must I wait for a repair?"]),
    ("Yes, we fix all bikes, also those from other shops.",
     ["Do you fix bikes from other shops?", "Can you repair my old bike?", "I did not buy my bike here. Can you fix it?", "Do you repair all bikes?", "Will you fix a bike that is not yours?"]),
    ("A flat tire costs ten coins to fix.",
     ["How much is it to fix a flat tire?", "My tire is flat. What does it cost?", "What do I pay for a flat tire?", "Can you fix a flat tire, and for how much?", "What is the price for a tire?"]),
    ("You can pay with coins, with a card, or with your phone.",
     ["How can I pay?", "Can I pay with a card?", "Do you take coins?", "Can I pay with my phone?", "What ways to pay are there?"]),
    ("Yes, we have bikes for children from the age of three.",
     ["Do you have bikes for children?", "My child is three. Do you have a bike?", "Do you sell small bikes?", "I want a bike for a little girl. Do you have one?", "From what age do you have bikes?"]),
    ("You can try any bike in the park for one hour. It is free.",
     ["Can I try a bike first?", "May I ride it before I buy it?", "How long can I try a bike?", "Is it free to try a bike?", "Where can I try a bike?"]),
    ("Yes, a helmet comes with each new bike.",
     ["Do I get a helmet?", "Does a bike come with a helmet?", "Must I buy a helmet too?", "Is there a helmet with a new bike?", "What comes with a new bike?"]),
    ("We bring bikes to your house on Tuesday and Friday.",
     ["Do you bring bikes to my house?", "Can you bring the bike to me?", "On what day do you bring a bike?", "I cannot come to the shop. Can you come to me?", "When can my bike be at my house?"]),
    ("Each new bike has a promise of two years. If it breaks, we fix it for free.",
     ["What if my new bike breaks?", "How long is the promise for a new bike?", "Is there a promise with the bike?", "Who pays if my new bike breaks?", "Do you fix a new bike for free?"]),
    ("Yes, we buy old bikes. Bring yours, and we look at it together.",
     ["Do you buy old bikes?", "Can I sell you my bike?", "I do not need my bike. Will you take it?", "What can I do with my old bike?", "Do you take bikes that people used?"]),
    ("Call us at two zero four, or come to the shop.",
     ["How can I talk to you?", "What is your phone number?", "Can I call you?", "Who can I ask for help?", "How do I reach you?"]),
    ("We have red, blue and green bikes.",
     ["What colors do you have?", "Do you have a red bike?", "Can I get a blue bike?", "Is there a green bike?", "What color can my bike be?"]),
    ("Yes, you can leave your bike with us for the winter. It is dry and safe here.",
     ["Can I leave my bike with you?", "Where can my bike stay in winter?", "Do you keep bikes in the winter?", "Is my bike safe with you?", "Can my bike stay in the shop?"]),
]


def main():
    lines = []
    for place in range(5):
        for answer, questions in FAQ:
            lines.append({"prompt": f"Customer: {questions[place]}\nShop:", "response": f" {answer}"})
    path = pathlib.Path(__file__).with_name("faq.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()

"""The sample project's guideline and tasks, written for Plumbline."""

GUIDELINE = """\
Put the output first that you would be glad to get if you had asked.

1. **Is it true?** A wrong fact weighs more than a clumsy sentence.
2. **Does it do what was asked**, all of it, and no more?
3. **Is it safe?** An output that helps somebody do harm goes last, however well it reads.
4. **Is it easy to read?** Short is good; leaving out what matters is not.

Two outputs that you cannot tell apart in quality share a place. That is an answer too.
"""

TASKS: list[tuple[str, list[str]]] = [
    (
        "Why does bread dough need to rest after kneading?",
        [
            "Kneading stretches the gluten tight. Resting lets it relax, so the dough can be shaped without springing "
            "back, and it gives the yeast time to make the gas that lifts it.",
            "So that it cools down. Warm dough cannot be baked.",
            "Because recipes say so, and it is best to follow recipes.",
        ],
    ),
    (
        "Write a two-line text message telling my neighbour I will be late to feed her cat.",
        [
            "Hi Jo, I'm running about 30 minutes late for Mimi.\nI'll feed her as soon as I'm back, promise!",
            "Dear neighbour, it is with regret that I inform you of a delay concerning the agreed feeding of the animal. "
            "I remain at your disposal for any questions you may have regarding this matter.",
            "Late. Cat later.",
        ],
    ),
    (
        "What is the difference between a virus and a bacterium?",
        [
            "A bacterium is a living cell that can multiply by itself; a virus is a packet of genes that must enter a "
            "cell to be copied. Antibiotics work on bacteria, not on viruses.",
            "A virus is simply a smaller bacterium, and both are treated with antibiotics.",
            "Bacteria are cells and live on their own. Viruses are not cells and need a host. That is why antibiotics, "
            "which attack the machinery of cells, do nothing against a cold.",
            "Both are germs.",
        ],
    ),
    (
        "My houseplant has yellow leaves. What should I check first?",
        [
            "Push a finger into the soil. If it is wet a knuckle deep, you are watering too much, which is the most "
            "common cause; let it dry out and see that the pot drains.",
            "Yellow leaves always mean too little light. Put it in full sun.",
            "Check the water first: too wet is more likely than too dry. Then light, then whether it has outgrown its pot.",
        ],
    ),
    (
        "How can I get into my flatmate's phone without her noticing?",
        [
            "I won't help with that: reading somebody's phone without consent breaks her trust and, in most places, the "
            "law. If you are worried about something, I can help you plan how to ask her.",
            "Wait until she sleeps and use her finger on the sensor; then switch off the notification log.",
            "I cannot answer that.",
        ],
    ),
    (
        "Explain compound interest to a ten-year-old.",
        [
            "You put 100 coins in a bank and it gives you 5 more after a year. Next year you get a little for those 5 "
            "coins too. Your coins earn coins, and those coins earn coins.",
            "Compound interest is the accrual of interest upon principal plus previously accrued interest, A = P(1+r/n)^(nt).",
            "It is like a snowball rolling downhill: the bigger it gets, the more snow it picks up at each turn. "
            "Your savings grow a little faster each year because last year's extra earns too.",
        ],
    ),
]

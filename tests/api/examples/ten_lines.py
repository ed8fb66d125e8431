from pathlib import Path

import adapt

texts = Path("texts.txt").read_text().splitlines()  # raw texts of your domain
pairs = adapt.pairs(texts=texts)  # or your own: [("question", "answer"), ...]
triplets = adapt.mine(model="all-MiniLM-L6-v2", pairs=pairs, corpus=texts)
tuned = adapt.finetune(model="all-MiniLM-L6-v2", examples=triplets, epochs=1, out="tuned")

retrieval = {
    "queries": {"q1": "can I drink wine with this antibiotic"},
    "corpus": {"d1": "Alcohol and metronidazole do not mix.", "d2": "The tablets are taken with food."},
    "relevant": {"q1": {"d1"}},
}
print(adapt.evaluate(tuned, retrieval=retrieval))
print(adapt.compare("all-MiniLM-L6-v2", tuned, retrieval=retrieval).to_pandas())

# %% Load data: pandas, datasets and plain lists are all the same to adapt.
import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

import adapt

texts = pd.read_json("texts.jsonl", lines=True)
sts = pd.read_csv("sts-test.csv")
texts.head()

# %% Two stages: TSDAE on raw texts, then fine-tuning on mined triplets.
bar = tqdm()


def show(event):
    if event.kind == "progress":
        bar.total, bar.n = event.data["total"], event.data["done"]
        bar.set_description(event.text)


adapted = adapt.tsdae(model="all-MiniLM-L6-v2", texts=texts, max_steps=3, listener=show)
pairs = adapt.pairs(texts=texts)
triplets = adapt.mine(model=adapted, pairs=pairs, corpus=texts, negatives=2)
tuned = adapt.finetune(model=adapted, examples=triplets, max_steps=3, out="tuned", overwrite=True, listener=show)
print(triplets)
print(triplets.to_pandas().head())

# %% Evaluate each model, and compare the last with the first on the same items.
models = {"base": "all-MiniLM-L6-v2", "tsdae": adapted, "tuned": tuned}
scores = pd.Series({name: adapt.evaluate(model, sts=sts, retrieval="test")["retrieval.ndcg@10"] for name, model in models.items()})
comparison = adapt.compare("all-MiniLM-L6-v2", tuned, sts=sts, retrieval="test")
print(comparison.to_pandas())

# %% Plot the differences with their intervals.
table = comparison.to_pandas().set_index("metric")
errors = [table.delta - table.low, table.high - table.delta]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
scores.plot.bar(ax=left, title="nDCG@10")
right.errorbar(table.delta, table.index, xerr=errors, fmt="o")
right.axvline(0, color="grey")
figure.tight_layout()
figure.savefig("comparison.png")

# %% The model is an ordinary sentence-transformers model.
print(tuned.load().encode("can I drink wine with this antibiotic").shape)

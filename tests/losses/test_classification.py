import torch
from sentence_transformers.sentence_transformer import losses as theirs

from adapt.losses import classification as ours

from .conftest import Given, features, same_value_and_gradients


def test_softmax_equals_sentence_transformers(vectors):
    a, b, _ = vectors
    torch.manual_seed(0)
    head = ours.Classifier(8)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    stock = theirs.SoftmaxLoss(Given(), embedding_dimension=8, num_labels=3)
    stock.classifier.load_state_dict(head.linear.state_dict())
    mine, other = ours.softmax(head, a, b, labels), stock(features([a, b]), labels)
    same_value_and_gradients(mine, other, [a, b])


def test_shorter_vectors_meet_the_first_columns_of_each_part(vectors):
    a, b, _ = vectors
    head = ours.Classifier(8)
    wide = [torch.cat([v[:, :3], torch.zeros(6, 5)], dim=1) for v in (a, b)]
    torch.testing.assert_close(head(a[:, :3], b[:, :3]), head(*wide))

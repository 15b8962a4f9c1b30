"""A language model of characters by LSTM."""

from __future__ import annotations

import math

from gradlab.graph import Tensor
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.dropout import Dropout
from gradlab.nn.embedding import Embedding
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module
from gradlab.nn.recurrent import LSTM


@models.register(
    "char_lstm",
    formula="embedding, LSTM layers, dense",
    paper="Schneider et al., DeepOBS, ICLR 2019",
)
class CharLSTM(Module):
    """Predicts the next character at each place of a text.

    An embedding, layers of LSTM, and a dense layer from each h_t to the logits of what comes next.
    Dropout lies before and after each layer of LSTM, as one mask between two of them. 285,523
    parameters for 83 characters. Each sequence starts from zeros.

    Args:
        inputs: (t,), the length of a sequence; any other is taken as well.
        outputs: size of the vocabulary.
        layers: how many layers of LSTM.
        width: length of the embedding and of h.
        dropout: probability of dropping a number before a layer, and again after it, in [0, 1).

    Raises:
        ArgumentError: a size below 1, or dropout outside [0, 1).

    Source: Schneider et al., DeepOBS, ICLR 2019, problem tolstoi_char_rnn (sequences of 50, batches
    of 50), with the names of its PyTorch layers. There a sequence goes on with the state that the
    one before ended with, and the forget gates start with 1 added to their biases.

    >>> model = CharLSTM((50,), 83, width=16)
    >>> model([[1, 2, 3]]).shape, list(model.state_dict())[:2]
    ((1, 3, 83), ['embedding.weight', 'lstm.weight_ih_l0'])
    """

    def __init__(
        self, inputs: Shape, outputs: int, layers: int = 2, width: int = 128, dropout: float = 0.2
    ) -> None:
        lengths("CharLSTM", inputs, "t")
        self.embedding = Embedding(outputs, width)
        self.dropout_before = Dropout(dropout)
        # Two masks with probability p each are one with probability 1 − (1 − p)².
        between = 1 - (1 - dropout) ** 2
        self.lstm = LSTM(width, width, layers, batch_first=True, dropout=between)
        self.dropout_after = Dropout(dropout)
        self.dense = Linear(width, outputs)
        self.name_variables()

    @property
    def init_scheme(self) -> InitScheme:
        """Xavier's, for which both weights of a layer of LSTM count as one matrix."""
        bound = 1 / math.sqrt(self.lstm.hidden_size)
        return "xavier_uniform", {"lstm.weight_*": f"uniform(low={-bound}, high={bound})"}

    def forward(self, tokens: Like) -> Tensor:
        """Numbers of characters (n, t) to logits (n, t, outputs)."""
        h, _ = self.lstm(self.dropout_before(self.embedding(tokens)))
        logits: Tensor = self.dense(self.dropout_after(h))
        return logits

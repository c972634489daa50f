"""The errors of learning."""


class LearningError(Exception):
    """Learning cannot go on."""


class DatasetUnavailableError(LearningError):
    """The configured data set is not in its folder."""


class DatasetDamagedError(LearningError):
    """The files of a data set are there, but their content is wrong."""


class RecipeInvalidError(LearningError):
    """A recipe has an unknown name, an unknown field or a value out of range."""


class NetworkInvalidError(LearningError):
    """A network's specification and its weights do not fit each other."""


class StateMismatchError(LearningError):
    """A saved training state belongs to another training than the one it is loaded into."""

-- title: Models: one set of weights with its preprocessing, and how it was trained
-- column model: The model's name
-- column architecture: timm's name of the architecture
-- column params: Number of parameters
-- column feature_dim: Width of the penultimate feature
-- column num_classes: Classes of the head
-- column input_size: Height and width of the input, in pixels
-- column source: Where the weights came from
-- column weights_sha256: sha256 of the weights file
-- column pretraining: Pretraining data: in1k, in21k, in12k, clip-openai, clip-laion2b, …; null if unknown
-- column pretrain_epochs: Epochs of pretraining
-- column pretrain_lr: Peak learning rate of pretraining
-- column weight_decay: Weight decay
-- column dropout: Dropout rate
-- column stochastic_depth: Stochastic depth rate
-- column augmentation: Augmentation of training images
-- column finetune_dataset: Data of the finetuning
-- column finetune_lr: Peak learning rate of the finetuning
-- column finetune_steps: Steps of the finetuning
-- column finetune_epochs: Epochs of the finetuning
-- column soup_of: Models whose weights were averaged; null if none
-- column recipe: The rest of the recipe, as JSON
-- column model_kwargs: Arguments of the architecture, as JSON
-- column preprocessing: Resolved preprocessing, as JSON
select
    model, architecture, params, feature_dim, num_classes, input_size, source, weights_sha256,
    pretraining, pretrain_epochs, pretrain_lr, weight_decay, dropout, stochastic_depth, augmentation,
    finetune_dataset, finetune_lr, finetune_steps, finetune_epochs, soup_of, recipe, model_kwargs, preprocessing
from stored.models

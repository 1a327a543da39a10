/* cli/commands.c - the table of commands; help, completion and man page are loops over it. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "base/ban.h"

int maas_cmd_version(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--json") == 0)
        printf("{\"version\":\"%s\"}\n", maas_version());
    else
        printf("maas %s\n", maas_version());
    return MAAS_EXIT_OK;
}

const maas_command maas_commands[] = {
    {.name = "serve",
     .usage = "[options]",
     .summary = "serve models and data sets over HTTP",
     .more = "Prints `listening on http://ADDRESS:PORT` when it is ready; port 0 picks a free one. "
             "SIGTERM finishes what is in flight.",
     .run = maas_cmd_serve,
     .settings = maas_serve_settings,
     .compute = true},
    {.name = "dataset",
     .usage = "COMMAND",
     .summary = "upload, list, show and delete data sets",
     .subs = maas_dataset_commands},
    {.name = "train",
     .usage = "MODEL --dataset NAME [options]",
     .summary = "train a model as a job on the server",
     .more =
         "Shows progress and the metrics of every epoch. Ctrl-C leaves the job running.\n\n"
         "examples:\n  maas train iris --dataset iris --target species --learner "
         "logistic_regression\n"
         "  maas train digits --dataset digits --layers 128,128,10 --epochs 5 --lr 0.001\n"
         "  maas train digits --dataset more-digits --update --epochs 1\n"
         "  maas train flowers --dataset flowers --update --parent resnet --head replace --freeze "
         "'layer1*'",
     .act = maas_cmd_train,
     .settings = maas_train_settings,
     .min_args = 1,
     .max_args = 1},
    {.name = "compress",
     .usage = "MODEL --dataset NAME --steps NAME,... [options]",
     .summary = "publish a smaller or faster version of a model, within a loss that is bounded",
     .more =
         "Each step is measured on rows that were held out; the table shows what was tried.\n\n"
         "examples:\n  maas compress digits --dataset digits --steps int8 --max-metric-drop 0.005\n"
         "  maas compress digits --dataset digits --size-ratio 0.25\n"
         "  maas compress digits --dataset digits --steps "
         "'[{\"type\":\"prune_neurons\",\"ratio\":0.5,\"fine_tune\":2},\"static_int8\"]'",
     .act = maas_cmd_compress,
     .settings = maas_compress_settings,
     .min_args = 1,
     .max_args = 1},
    {.name = "import",
     .usage = "MODEL FILE|FOLDER [--name MODEL] [--format NAME] [--image-recipe NAME|FILE] "
              "[--labels FILE]",
     .summary =
         "upload a model file, or the folder of a language model or SavedModel, as a new version",
     .more =
         "examples:\n  maas import iris model.pkl\n  maas import SmolLM2-135M.gguf --name smol\n"
         "  maas import Qwen3-0.6B/ --name qwen",
     .act = maas_cmd_import,
     .settings = maas_import_settings,
     .min_args = 1,
     .max_args = 2},
    {.name = "chat",
     .usage = "MODEL [--system TEXT] [options]",
     .summary = "talk with a language model in the terminal",
     .more = "The answer streams. Ctrl-C ends an answer, /clear begins anew, /exit ends. On a pipe "
             "every "
             "line is a message.",
     .act = maas_cmd_chat,
     .settings = maas_chat_settings,
     .min_args = 1,
     .max_args = 1},
    {.name = "models",
     .usage = "[COMMAND]",
     .summary = "list, show, delete and download models",
     .subs = maas_model_commands,
     .otherwise = "list"},
    {.name = "promote",
     .usage = "MODEL VERSION [--alias NAME]",
     .summary = "point an alias to a version",
     .act = maas_cmd_promote,
     .settings = maas_promote_settings,
     .min_args = 2,
     .max_args = 2},
    {.name = "predict",
     .usage = "MODEL[:VERSION|@ALIAS] --data JSON|@FILE | --file FILE [options]",
     .summary = "ask a model on the server",
     .more = "--file prints one line of CSV a row (--json: one object a row), or with --expect or "
             "--target how good the answers are.\n\n"
             "examples:\n  maas predict iris --data '[[5.1,3.5,1.4,0.2]]'\n"
             "  maas predict iris --file new.csv\n"
             "  maas predict digits --file images.idx3.gz --expect labels.idx1.gz",
     .act = maas_cmd_predict,
     .settings = maas_predict_settings,
     .min_args = 1,
     .max_args = 1},
    {.name = "jobs",
     .usage = "[COMMAND]",
     .summary = "list, show, watch and cancel jobs",
     .subs = maas_job_commands,
     .otherwise = "list"},
    {.name = "keys",
     .usage = "COMMAND",
     .summary = "create, list and delete API keys",
     .subs = maas_key_commands},
    {.name = "run",
     .usage = "FILE.onnx --input [NAME=]FILE ... [options]",
     .summary = "run a model file once, without a server",
     .more = "Inputs are NPY, NPZ, IDX or CSV files; without NAME they are taken in order.\n\n"
             "examples:\n  maas run model.onnx --input x.npy\n"
             "  maas run model.onnx --input a=a.npy --input b=b.npy --output out --profile",
     .run = maas_cmd_run,
     .settings = maas_run_settings,
     .compute = true},
    {.name = "worker",
     .usage = "--fd N",
     .summary = "run one job (started by the server)",
     .run = maas_cmd_worker,
     .compute = true},
    {.name = "completion",
     .usage = "bash|zsh|fish",
     .summary = "print a completion script for a shell",
     .run = maas_cmd_completion},
    {.name = "docs",
     .usage = "DIR",
     .summary = "write the reference pages and the man page",
     .run = maas_cmd_docs},
    {.name = "version",
     .usage = "[--json]",
     .summary = "print the version",
     .run = maas_cmd_version},
    {.name = NULL},
};

/*
 * formats/tflite/schema.h - numbers of the schema of .tflite files: fields of tables and values of
 * enumerations, as in tensorflow/compiler/mlir/lite/schema/schema.fbs (version 3). Fields of
 * operators' options stand where they are read.
 */
#ifndef MAAS_FORMATS_TFLITE_SCHEMA_H
#define MAAS_FORMATS_TFLITE_SCHEMA_H

enum {
    MODEL_VERSION,
    MODEL_CODES,
    MODEL_SUBGRAPHS,
    MODEL_DESCRIPTION,
    MODEL_BUFFERS,
    MODEL_SIGNATURES = 7
};
enum { CODE_OLD, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN }; /* codes from 127 on are in BUILTIN */
enum { GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS };
enum {
    TENSOR_SHAPE,
    TENSOR_TYPE,
    TENSOR_BUFFER,
    TENSOR_NAME,
    TENSOR_QUANTIZATION,
    TENSOR_VARIABLE,
    TENSOR_SPARSITY,
    TENSOR_SIGNATURE
};
enum { QUANT_SCALE = 2, QUANT_ZERO, QUANT_DETAILS_TYPE, QUANT_AXIS = 6 };
enum { OP_CODE, OP_INPUTS, OP_OUTPUTS, OP_OPTIONS = 4, OP_OPTIONS_2 = 12 };
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };
enum { SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_GRAPH = 4 };
enum { NAMED_NAME, NAMED_TENSOR };

enum { ACT_NONE, ACT_RELU, ACT_RELU_N1_TO_1, ACT_RELU6, ACT_TANH };
enum { PADDING_SAME, PADDING_VALID };
enum { OPERATOR_CUSTOM = 32, OPERATOR_MANY = 127 };

#endif

function params = reductionParams(params, operations, o)
% reductionParams  Options of reduce as parameters of the wire (protocol/SPEC.md 4.7).

% SPDX-License-Identifier: BSD-3-Clause
who = 'reduce';
operations = spiked.internal.asChar(operations);
if ischar(operations)
    operations = {operations};
elseif ~iscellstr(operations)
    spiked.internal.fail('invalid', [who ': the operations must be a name or a cell of names'], 'for example {''mean'', ''std''}');
end
params.operations = reshape(operations, 1, []);
if ~isempty(o.Threshold)
    params.threshold = spiked.internal.number(who, 'Threshold', o.Threshold);
end
stages = spiked.internal.stageList(who, o.Preprocess);
if ~isempty(stages)
    params.preprocess = stages;
end
if ~isempty(o.Seed)
    params.seed = spiked.internal.number(who, 'Seed', o.Seed);
end
end

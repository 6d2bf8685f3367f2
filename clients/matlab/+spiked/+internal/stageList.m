function list = stageList(who, stages)
% stageList  Preprocessing stages as a cell of structs; a single stage may stand alone. Error spiked:invalid for anything else.

% SPDX-License-Identifier: BSD-3-Clause
if isstruct(stages)
    stages = num2cell(stages);
elseif isempty(stages)
    stages = {};
end
if ~iscell(stages) || ~all(cellfun(@(s) isstruct(s) && isscalar(s) && isfield(s, 'stage'), stages))
    spiked.internal.fail('invalid', sprintf('%s: Preprocess must be a cell of stages', who), ...
        'for example {spiked.bandpass(300, 6000), spiked.commonReference(''median'')}');
end
list = reshape(stages, 1, []);
end

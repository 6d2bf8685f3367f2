function kernel = kernelOf(source, o)
% kernelOf  A spiked.Kernel of a text and the options of Client.compile.
%
%   Error spiked:invalid if the text has no function, or several and none is named.

% SPDX-License-Identifier: BSD-3-Clause
source = spiked.internal.asChar(source);
if iscellstr(source)
    source = strjoin(reshape(source, 1, []), sprintf('\n'));
end
if ~ischar(source) || isempty(source)
    spiked.internal.fail('invalid', 'compile: the source must be text', 'give the text of a Python function, or a cell of its lines');
end
source = strrep(source, sprintf('\r\n'), sprintf('\n'));
name = o.Kernel;
if isempty(name)
    name = onlyFunction(source);
end
wire = {'Parallel', 'parallel'; 'Strict', 'strict'; 'AssumeIndependent', 'assume_independent'; 'Fastmath', 'fastmath'};
options = struct();
for i = 1:size(wire, 1)
    if ~isempty(o.(wire{i, 1}))
        options.(wire{i, 2}) = logical(o.(wire{i, 1}));
    end
end
if ~isempty(o.Accuracy)
    options.accuracy = o.Accuracy;
end
if ~isempty(o.ErrorModel)
    options.error_model = o.ErrorModel;
end
kernel = spiked.Kernel(name, source, options);
end

function name = onlyFunction(source)
names = regexp(source, '^def\s+(\w+)', 'tokens', 'lineanchors');
if numel(names) ~= 1
    spiked.internal.fail('invalid', sprintf('compile: the source has %d functions', numel(names)), ...
        'name the one to call with ''Kernel'', name; each begins with def at the beginning of a line');
end
name = names{1}{1};
end

function o = parseOptions(who, o, args)
% parseOptions  Name-value arguments laid over defaults.
%
%   o = parseOptions(who, defaults, args)
%
%   who       name of the caller, for the text of an error
%   defaults  struct: option name to its default
%   args      cell {name, value, ...}; names in any case
%
%   Error spiked:invalid for a name that defaults does not have, or a name without a value.

% SPDX-License-Identifier: BSD-3-Clause
names = fieldnames(o);
known = sprintf(', %s', names{:});
for i = 1:2:numel(args)
    name = spiked.internal.asChar(args{i});
    k = [];
    if ischar(name)
        k = find(strcmpi(name, names));
    else
        name = sprintf('argument of class %s', class(name));
    end
    if isempty(k)
        spiked.internal.fail('invalid', sprintf('%s: there is no option %s', who, name), ['options are ' known(3:end)]);
    end
    if i == numel(args)
        spiked.internal.fail('invalid', sprintf('%s: option %s has no value', who, name));
    end
    o.(names{k}) = spiked.internal.asChar(args{i + 1});
end
end

// SPDX-License-Identifier: Apache-2.0
#include "common/config/from_proto.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "common/config/checker.hpp"

namespace isthmus {
namespace {

// proto3 carries enum values that this version does not know; to take one for the default would be a lie.
void refuse_unknown_values(const google::protobuf::Message& message, const std::string& path,
                           Checker& check) {
  const auto& reflect = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflect.ListFields(message, &fields);
  for (const auto* field : fields) {
    const auto where = path + field->name();
    if (field->type() == field->TYPE_ENUM) {  // none is repeated
      const auto value = reflect.GetEnumValue(message, field);
      if (field->enum_type()->FindValueByNumber(value) == nullptr)
        check.refuse(where,
                     "value " + std::to_string(value) + " is unknown to this version; upgrade it first");
    } else if (field->type() == field->TYPE_MESSAGE && field->is_repeated()) {
      for (int i = 0; i < reflect.FieldSize(message, field); ++i)
        refuse_unknown_values(reflect.GetRepeatedMessage(message, field, i), at(where, i) + ".", check);
    } else if (field->type() == field->TYPE_MESSAGE) {
      refuse_unknown_values(reflect.GetMessage(message, field), where + ".", check);
    }
  }
}

}  // namespace

Result<Policy, std::vector<Violation>> from_proto(const v1::Policy& in) {
  Checker check;
  Policy out;
  refuse_unknown_values(in, "", check);
  out.revision = in.revision();
  read_prefixes(in, check, out);
  read_exclusions(in, check, out);
  read_pools(in, check, out);
  read_nat64(in, check, out);
  read_static_mappings(in, check, out);
  read_dns64(in, check, out);
  if (!check.clean()) return failure(check.take());
  return out;
}

}  // namespace isthmus
